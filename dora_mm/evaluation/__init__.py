"""Metrics, and the pure functions behind them."""
from .davis_metric import DAVISMetric
from .knn_metric import KNNMetric
from .metrics import SweepAccuracy

__all__ = ['DAVISMetric', 'KNNMetric', 'SweepAccuracy']
