import re
from typing import Any

from dora_mm.video.display import NO_CROP, Crop

_CROP = re.compile(r'^ +Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)$', re.M)


def container_crop(stream: Any) -> Crop:
    """What a container crops: ``clap`` of MP4, ``PixelCrop`` of Matroska.

    FFmpeg's command crops it since 7.1. PyAV hands it out in a description
    of the file alone, as FFmpeg prints it.

    Args:
        stream (av.VideoStream): Of :func:`open_film`.

    Returns:
        Crop: Pixels of stored pictures, before they are turned.
    """
    import av.logging  # not at the top: who imports the readers pays

    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)  # below it FFmpeg prints nothing
    try:
        text = stream.container.dumps_format()
    finally:
        av.logging.set_level(level)
    streams = re.split(r'^ +Stream #0:(\d+)', text, flags=re.M)[1:]
    own = dict(zip(streams[::2], streams[1::2]))[str(stream.index)]
    found = _CROP.search(own)
    return tuple(map(int, found.groups())) if found else NO_CROP
