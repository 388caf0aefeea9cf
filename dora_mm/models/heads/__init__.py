from .sinkhorn_prototype_head import SinkhornPrototypeHead

__all__ = ['SinkhornPrototypeHead']
