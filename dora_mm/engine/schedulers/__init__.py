from .warmup_cosine_scheduler import WarmupCosineScheduler

__all__ = ['WarmupCosineScheduler']
