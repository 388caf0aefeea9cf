"""Metrics, and the pure functions behind them."""
from .davis_metric import DAVISMetric
from .discovery_metric import DiscoveryMetric
from .got10k_metric import GOT10kMetric
from .iou_metric import IoUMetric
from .knn_metric import KNNMetric
from .pck_metric import PCKMetric
from .sweep_accuracy import SweepAccuracy
from .video_iou_metric import VideoIoUMetric

__all__ = [
    'DAVISMetric', 'DiscoveryMetric', 'GOT10kMetric', 'IoUMetric', 'KNNMetric',
    'PCKMetric', 'SweepAccuracy', 'VideoIoUMetric'
]
