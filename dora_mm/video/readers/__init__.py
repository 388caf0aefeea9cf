"""Video files behind one small interface.

No video decoder is imported with this package: decord and PyAV are when a file
is opened.
"""
from .build_reader import build_reader
from .decord_reader import DecordReader
from .mjpeg_reader import MJPEGReader
from .pyav_reader import PyAVReader
from .reader_pool import ReaderPool
from .video_decode_error import VideoDecodeError
from .video_info import VideoInfo
from .video_reader import VideoReader

__all__ = [
    'DecordReader', 'MJPEGReader', 'PyAVReader', 'ReaderPool',
    'VideoDecodeError', 'VideoInfo', 'VideoReader', 'build_reader'
]
