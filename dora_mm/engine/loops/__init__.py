from .knn_loop import KNNLoop
from .resumable_epoch_loop import ResumableEpochLoop

__all__ = ['KNNLoop', 'ResumableEpochLoop']
