import os
import warnings

from .ffmpeg_command import ffmpeg_command
from .load_video_index import load_video_index
from .video_decode_error import REPAIR
from .video_info import VideoInfo


def probe_video(path: str) -> VideoInfo:
    """Describe a video file, and check that its ends decode.

    The first time, the file is read through and one key frame and the last
    group of pictures are decoded; later the saved index answers, see
    :func:`load_video_index`.

    Damage in the middle of a file is not looked for; a clip there is replaced
    when it is met.

    Args:
        path (str): The file.

    Returns:
        VideoInfo: The description. If frames at the end cannot be decoded, a
        warning is given and ``num_frames`` is the smaller number.

    Raises:
        ValueError: If the file is not a video or nothing in it can be
            decoded. The message names file and remedy.
    """
    index = load_video_index(path)
    if index.num_frames == 0:
        raise ValueError(
            f'no frame of {path!r} can be decoded from its first key frame on,'
            f' though it promises {index.num_promised}. {REPAIR}')
    if not index.fps:
        raise ValueError(
            f'{path!r} does not say its frames per second. Rewrite it with ' +
            ffmpeg_command('-i FILE -c copy OUT.mp4'))
    if index.num_frames < index.num_promised:
        first, last = (
            float(time * index.time_base) for time in index.times[[0, -1]])
        warnings.warn(
            f'{path!r} promises {index.num_promised} frames, but '
            f'{index.num_promised - index.num_frames} of them are missing or '
            f'cannot be decoded: frame 0 is that at {first:.2f} s of the file,'
            f' frame {index.num_frames - 1}, the last one, that at {last:.2f} '
            f's. {REPAIR}')
    return VideoInfo(
        path=path,
        num_frames=index.num_frames,
        fps=float(index.fps),
        codec=index.codec,
        num_cut=index.num_cut,
        num_bytes=os.path.getsize(path),
        has_edit_list=index.has_edit_list,
        has_open_gop=index.has_open_gop,
        has_variable_rate=index.has_variable_rate,
        seekable=index.seekable,
        is_jpeg=len(index.positions) > 0,
        fault=index.fault)
