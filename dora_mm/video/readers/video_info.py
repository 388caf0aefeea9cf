from dataclasses import dataclass


@dataclass(frozen=True)
class VideoInfo:
    """What the main process knows about a file without decoding it whole.

    Attributes:
        path (str): The file.
        num_frames (int): Frames that are shown and that, as far as the check
            of both ends shows, can be decoded.
        fps (float): Average frames per second.
        codec (str): Name of the codec as FFmpeg spells it, e.g. ``'h264'``.
        num_cut (int): Frames missing at the end of a truncated file whose
            index comes first; 0 for any other file.
        num_bytes (int): Size of the file.
        has_edit_list (bool): An edit list hides some frames.
        has_open_gop (bool): Some groups of pictures need the one before.
        has_variable_rate (bool): A frame is more than one and a half frames
            off its place at a constant rate.
        seekable (bool): A seek finds the same frames as decoding from the
            start, as far as was checked; not so in MPEG-TS.
        is_jpeg (bool): Every frame is a JPEG of its own, as in prepared
            videos.
        fault (str): What was found wrong when frames were sought.
    """
    path: str
    num_frames: int
    fps: float
    codec: str
    num_cut: int = 0
    num_bytes: int = 0
    has_edit_list: bool = False
    has_open_gop: bool = False
    has_variable_rate: bool = False
    seekable: bool = True
    is_jpeg: bool = False
    fault: str = ''
