from typing import Optional

from .decord_reader import DecordReader
from .mjpeg_reader import MJPEGReader
from .probe_video import probe_video
from .pyav_reader import PyAVReader
from .video_info import VideoInfo
from .video_reader import VideoReader

_READERS = {
    cls.__name__: cls
    for cls in (DecordReader, MJPEGReader, PyAVReader)
}


def choose_reader(info: VideoInfo) -> type:
    """The reader that is exact and fast on a file.

    Prepared videos: :class:`MJPEGReader`. Others: :class:`PyAVReader`, which
    reports damage, compares packets with their checksums and is the faster
    one. :class:`DecordReader` conceals damage and hands out no packets that
    could be compared.

    Args:
        info (VideoInfo): The file's description.

    Returns:
        type: A subclass of :class:`VideoReader`.
    """
    return MJPEGReader if info.is_jpeg else PyAVReader


def reader_class(cfg: dict) -> type:
    """Class that a reader config names.

    Args:
        cfg (dict): As in :func:`build_reader`.

    Returns:
        type: A subclass of :class:`VideoReader`.

    Raises:
        TypeError: If the config is not a dict or its type not a reader.
        ValueError: If the name is unknown.
    """
    if not isinstance(cfg, dict):
        raise TypeError(f'reader must be a dict or None, but got {cfg!r}')
    kind = cfg.get('type')
    if isinstance(kind, str):
        if kind not in _READERS:
            raise ValueError(f"reader['type'] {kind!r} is unknown. Use one "
                             f'of {sorted(_READERS)} or a VideoReader class')
        return _READERS[kind]
    if not (isinstance(kind, type) and issubclass(kind, VideoReader)):
        raise TypeError("reader['type'] must be a name or a subclass of "
                        f'VideoReader, but got {kind!r}')
    return kind


def build_reader(path: str, cfg: Optional[dict] = None) -> VideoReader:
    """Build the reader of a file, without opening it.

    Args:
        path (str): The file.
        cfg (dict, optional): ``type``, a name or a subclass of
            :class:`VideoReader`, and its arguments except the path. None
            takes what :func:`choose_reader` finds. Defaults to None.

    Returns:
        VideoReader: The reader.

    Raises:
        TypeError: If the config is not a dict or its type not a reader.
        ValueError: If the name is unknown, or, without a config, if the
            frames of the file cannot be sought.
    """
    if cfg is None:
        info = probe_video(path)
        cls = choose_reader(info)
        cls.check_video(info)
        return cls(path)
    kwargs = {k: v for k, v in cfg.items() if k != 'type'}
    return reader_class(cfg)(path, **kwargs)
