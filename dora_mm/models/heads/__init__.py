from .linear_depth_head import LinearDepthHead
from .linear_sweep_head import LinearSweepHead
from .sinkhorn_prototype_head import SinkhornPrototypeHead

__all__ = ['LinearDepthHead', 'LinearSweepHead', 'SinkhornPrototypeHead']
