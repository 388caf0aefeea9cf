from .dino_neck import DINONeck
from .vit_pyramid import ViTPyramid

__all__ = ['DINONeck', 'ViTPyramid']
