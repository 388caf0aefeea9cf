from dataclasses import dataclass


@dataclass(frozen=True)
class VideoInfo:
    """What the main process knows about a file without decoding it whole.

    Attributes:
        path (str): The file.
        num_frames (int): Frames that the container promises and that, as far
            as the check of the last frames shows, can be decoded.
        fps (float): Average frames per second.
        codec (str): Name of the codec as FFmpeg spells it, e.g. ``'h264'``.
        num_cut (int): Frames missing at the end of a truncated file whose
            index comes first; 0 for any other file.
    """
    path: str
    num_frames: int
    fps: float
    codec: str
    num_cut: int = 0
