from .clip_view_preprocessor import ClipViewPreprocessor

__all__ = ['ClipViewPreprocessor']
