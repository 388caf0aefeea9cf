from .dora_vit import DoRAViT

__all__ = ['DoRAViT']
