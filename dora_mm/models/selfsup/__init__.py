from .dino import DINO
from .dora import DoRA

__all__ = ['DINO', 'DoRA']
