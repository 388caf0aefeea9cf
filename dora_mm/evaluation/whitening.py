# Letters: M images, D channels.
import torch
import torch.nn.functional as F
from torch import Tensor

# Directions of less variance than this share of the largest are damped.
_RIDGE = 1e-5


class Whitening:
    """Makes all directions of features count alike.

    Features are centred, their principal components divided by the standard
    deviation, and each is made of length 1 again. Two components carry most of
    the variance of [CLS] after a short training, and a cosine sees little
    else.

    Args:
        features (Tensor): (M, D), M at least 2, which mean and covariance are
            taken from.
    """

    def __init__(self, features: Tensor) -> None:
        self._mean = features.mean(0)
        centred = (features - self._mean).double()
        variance, axes = torch.linalg.eigh(centred.T @ centred / len(features))
        variance = variance.clamp_min(0)
        scale = (variance + _RIDGE * variance.max() +
                 torch.finfo(torch.float64).tiny).rsqrt()
        self._axes = (axes * scale).to(features.dtype)

    def __call__(self, features: Tensor) -> Tensor:
        """Whiten features.

        Args:
            features (Tensor): (B, D).

        Returns:
            Tensor: (B, D), of length 1.
        """
        return F.normalize((features - self._mean) @ self._axes, dim=1)
