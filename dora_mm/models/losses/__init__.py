from .dora_loss import DoRALoss

__all__ = ['DoRALoss']
