from typing import Any, Tuple

import av

_ATTACHED_PICTURE = 0x400  # FFmpeg's AV_DISPOSITION_ATTACHED_PIC


def open_film(path: str, num_threads: int = 1) -> Tuple[Any, Any]:
    """Open a file, and find the stream to read.

    Cover art is a video stream of one picture: it is passed over. The decoder
    reports what is damaged instead of concealing it.

    Args:
        path (str): The file.
        num_threads (int): Decoder threads. Defaults to 1.

    Returns:
        tuple: The container and the stream, of PyAV.

    Raises:
        ValueError: If there is no such stream. The message names the file.
        OSError: If the file cannot be opened.
    """
    # With the protocol, or a colon in the name would be taken for one.
    container = av.open(f'file:{path}')
    for stream in container.streams.video:
        if not int(stream.disposition) & _ATTACHED_PICTURE:
            stream.codec_context.thread_count = num_threads
            stream.codec_context.options = dict(err_detect='explode')
            return container, stream
    container.close()
    raise ValueError(f'{path!r} has no video stream, cover art aside: leave '
                     'it out')
