"""Metrics, and the pure functions behind them."""
from .knn_metric import KNNMetric
from .metrics import SweepAccuracy

__all__ = ['KNNMetric', 'SweepAccuracy']
