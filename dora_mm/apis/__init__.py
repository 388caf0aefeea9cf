"""Using a trained model from Python."""
from dora_mm.models import ModelLoader
from .dora_inferencer import DoRAInferencer

__all__ = ['DoRAInferencer', 'ModelLoader']
