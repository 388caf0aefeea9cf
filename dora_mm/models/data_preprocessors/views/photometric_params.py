from typing import NamedTuple, Tuple

import numpy as np

JITTER_OPS = ('brightness', 'contrast', 'saturation', 'hue')
# Jitter, grey, blur and solarise flags, sigma, and for each jitter operation
# its factor and its place in the order.
NUM_PHOTOMETRIC_UNIFORMS = 5 + 2 * len(JITTER_OPS)


class PhotometricParams(NamedTuple):
    """What :func:`apply_photometric` does to each of N images.

    Attributes:
        jitter (np.ndarray): bool (N,), colour jitter at all.
        order (np.ndarray): int (N, 4), operations of ``JITTER_OPS`` in the
            order in which they are applied.
        factors (np.ndarray): (N, 4), factor of each operation, in the order
            of ``JITTER_OPS``; hue in turns.
        gray (np.ndarray): bool (N,).
        blur (np.ndarray): bool (N,).
        sigma (np.ndarray): (N,), of the blur, in pixels.
        solarize (np.ndarray): bool (N,).
    """
    jitter: np.ndarray
    order: np.ndarray
    factors: np.ndarray
    gray: np.ndarray
    blur: np.ndarray
    sigma: np.ndarray
    solarize: np.ndarray

    @classmethod
    def from_uniforms(cls, uniforms: np.ndarray,
                      jitter_range: Tuple[Tuple[float, float], ...],
                      jitter_prob: float, gray_prob: float,
                      blur_prob: np.ndarray, blur_sigma: Tuple[float, float],
                      solarize_prob: np.ndarray) -> 'PhotometricParams':
        """Turn uniform numbers into parameters.

        Every number has its own column, so that changing one setting
        changes nothing else.

        Args:
            uniforms (np.ndarray): (N, 13) in [0, 1).
            jitter_range (Tuple[Tuple[float, float], ...]): Lowest and
                highest factor of each operation of ``JITTER_OPS``.
            jitter_prob (float): Probability of the jitter.
            gray_prob (float): Probability of grey.
            blur_prob (np.ndarray): (N,), probabilities of the blur.
            blur_sigma (Tuple[float, float]): Range of sigma in pixels.
            solarize_prob (np.ndarray): (N,), probabilities of solarise.

        Returns:
            PhotometricParams: N rows.
        """
        low, high = np.array(jitter_range).T
        return cls(
            jitter=uniforms[:, 0] < jitter_prob,
            order=uniforms[:, 9:13].argsort(-1),
            factors=low + (high - low) * uniforms[:, 5:9],
            gray=uniforms[:, 1] < gray_prob,
            blur=uniforms[:, 2] < blur_prob,
            sigma=blur_sigma[0] +
            (blur_sigma[1] - blur_sigma[0]) * uniforms[:, 4],
            solarize=uniforms[:, 3] < solarize_prob)
