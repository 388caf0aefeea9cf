from .dense_knn_loop import DenseKNNLoop
from .knn_loop import KNNLoop
from .progress_test_loop import ProgressTestLoop
from .resumable_epoch_loop import ResumableEpochLoop

__all__ = ['DenseKNNLoop', 'KNNLoop', 'ProgressTestLoop', 'ResumableEpochLoop']
