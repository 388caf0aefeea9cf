from .sweep_accuracy import SweepAccuracy

__all__ = ['SweepAccuracy']
