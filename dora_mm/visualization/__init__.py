"""Pictures of what a model tracks."""
from .track_visualizer import TrackVisualizer

__all__ = ['TrackVisualizer']
