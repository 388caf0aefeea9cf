from .clip_view_preprocessor import ClipViewPreprocessor
from .jpeg_clip_preprocessor import JPEGClipPreprocessor

__all__ = ['ClipViewPreprocessor', 'JPEGClipPreprocessor']
