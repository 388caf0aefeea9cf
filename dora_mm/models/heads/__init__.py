from .linear_sweep_head import LinearSweepHead
from .sinkhorn_prototype_head import SinkhornPrototypeHead

__all__ = ['LinearSweepHead', 'SinkhornPrototypeHead']
