from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Iterable, Optional, Union

import numpy as np

from dora_mm.utils.atomic_file import atomic_file


def write_video(path: Union[str, Path],
                frames: Iterable[np.ndarray],
                fps: Fraction,
                gop: Optional[int] = None) -> None:
    """Write pictures as H.264; the file appears when it is complete.

    Args:
        path (str | Path): File to write, with the extension ``.mp4``.
        frames (Iterable[np.ndarray]): At least one, each uint8 RGB
            (height, width, 3) with even sides.
        fps (Fraction): Frames per second.
        gop (int, optional): Frames from one key frame to the next; None
            leaves it to x264.
    """
    # A heavy import that only a video needs.
    import av

    frames = iter(frames)
    first = next(frames)
    with atomic_file(path) as file:
        with av.open(str(file.temporary), 'w') as container:
            stream = container.add_stream('libx264', rate=fps)
            stream.height, stream.width = first.shape[:2]
            stream.pix_fmt = 'yuv420p'
            stream.options = dict(preset='veryfast', crf='20')
            if gop is not None:
                stream.options = dict(stream.options, g=str(gop))
            for frame in chain((first, ), frames):
                image = av.VideoFrame.from_ndarray(frame, format='rgb24')
                container.mux(stream.encode(image))
            container.mux(stream.encode())
