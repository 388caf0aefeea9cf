from typing import Optional

from .decord_reader import DecordReader
from .pyav_reader import PyAVReader
from .video_reader import VideoReader

_READERS = {'DecordReader': DecordReader, 'PyAVReader': PyAVReader}


def reader_class(cfg: Optional[dict] = None) -> type:
    """Class that a reader config names.

    Args:
        cfg (dict, optional): As in :func:`build_reader`.

    Returns:
        type: A subclass of :class:`VideoReader`.

    Raises:
        TypeError: If the config is not a dict or its type not a reader.
        ValueError: If the name is unknown.
    """
    if cfg is not None and not isinstance(cfg, dict):
        raise TypeError(f'`reader` must be a dict or None, but got {cfg!r}.')
    kind = (cfg or {}).get('type', 'DecordReader')
    if isinstance(kind, str):
        if kind not in _READERS:
            raise ValueError(f"`reader['type']` {kind!r} is unknown. Use one "
                             f'of {sorted(_READERS)} or a VideoReader class.')
        return _READERS[kind]
    if not (isinstance(kind, type) and issubclass(kind, VideoReader)):
        raise TypeError("`reader['type']` must be a name or a subclass of "
                        f'VideoReader, but got {kind!r}.')
    return kind


def build_reader(path: str, cfg: Optional[dict] = None) -> VideoReader:
    """Build the reader of a file, without opening it.

    Args:
        path (str): The file.
        cfg (dict, optional): ``type``, a name or a subclass of
            :class:`VideoReader`, and its arguments except the path. None is
            ``dict(type='DecordReader')``. Defaults to None.

    Returns:
        VideoReader: The reader.

    Raises:
        TypeError: If the config is not a dict or its type not a reader.
        ValueError: If the name is unknown.
    """
    kwargs = {k: v for k, v in (cfg or {}).items() if k != 'type'}
    return reader_class(cfg)(path, **kwargs)
