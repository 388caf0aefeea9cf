"""Using a trained model from Python."""
from .dora_inferencer import DoRAInferencer

__all__ = ['DoRAInferencer']
