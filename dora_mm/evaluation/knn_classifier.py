# Letters: M images in the memory, B queries, D channels, C classes.
from typing import Dict, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from dora_mm.utils.check_finite import check_finite
from dora_mm.utils.check_temperature import check_temperature
from .nearest_rows import nearest_rows

_REMEDY = 'check the weights of the backbone and the images'


def common_classes(memory: Dataset, queries: Dataset) -> Tuple:
    """The classes of two data sets whose labels mean the same.

    Args:
        memory, queries (Dataset): With ``metainfo['classes']``.

    Returns:
        tuple: Their classes, in the order of their numbers.

    Raises:
        ValueError: If the two do not number the same classes.
    """
    found = [tuple(data.metainfo['classes']) for data in (memory, queries)]
    if found[0] != found[1]:
        alone = sorted(set(found[0]) ^ set(found[1]))
        raise ValueError(
            'memory and queries must have the same classes, but got '
            f'{len(found[0])} and {len(found[1])}, of which {alone[:3]} are '
            'in one alone: put both into one root, as two splits')
    return found[0]


class KNNClassifier:
    """Weighted nearest neighbours, the protocol of DINO and DoRA.

    The k most similar images of the memory (cosine) vote for their classes,
    each with the weight exp(similarity / temperature). Every k is taken from
    one search. The similarities are made in pieces, so the memory needed is
    that of the features, M D numbers, and at most 256 MB more.

    Args:
        features (Tensor): (M, D), with the L2 norm 1; not copied.
        labels (Tensor): (M,), int64, in [0, C).
        num_classes (int): C.
        ks (Sequence[int]): Numbers of neighbours. Defaults to DINO's.
        temperature (float): Divisor of the similarity. Defaults to 0.07.

    Raises:
        ValueError: If sizes do not fit, a label is out of range, a feature
            is not finite, k is larger than the memory, or see
            :func:`check_temperature`.
    """

    def __init__(self,
                 features: Tensor,
                 labels: Tensor,
                 num_classes: int,
                 ks: Sequence[int] = (10, 20, 100, 200),
                 temperature: float = 0.07) -> None:
        if features.ndim != 2 or labels.shape != features.shape[:1]:
            raise ValueError(
                'features must be (M, D) and labels (M,), but got '
                f'{tuple(features.shape)} and {tuple(labels.shape)}')
        if not ks or min(ks) < 1 or max(ks) > len(features):
            raise ValueError(f'ks must lie in [1, M], but got ks={tuple(ks)} '
                             f'for M={len(features)} images in the memory: '
                             'take fewer neighbours')
        if labels.min() < 0 or labels.max() >= num_classes:
            raise ValueError(f'labels must lie in [0, {num_classes}), but '
                             f'got {int(labels.min())} to '
                             f'{int(labels.max())}: check num_classes')
        check_temperature('temperature', temperature, 0.07)
        check_finite(features, 'features', _REMEDY)
        self.features = features
        self.labels = labels
        self.num_classes = num_classes
        self.ks = tuple(ks)
        self.temperature = temperature

    @torch.no_grad()
    def votes(self, queries: Tensor) -> Dict[int, Tensor]:
        """The votes for each class.

        Args:
            queries (Tensor): (B, D), of any norm.

        Returns:
            dict[int, Tensor]: k to (B, C), float32; the nearest image's vote
            is 1, which changes no share and lets no vote overflow.

        Raises:
            ValueError: If a query is not finite.
        """
        check_finite(queries, 'queries', _REMEDY)
        queries = F.normalize(queries.to(self.features.dtype), dim=1)
        similarity, index = nearest_rows(self.features, queries, max(self.ks))
        similarity = similarity.float()
        weights = ((similarity - similarity[:, :1]) / self.temperature).exp()
        labels = self.labels[index]  # (B, k)
        votes = weights.new_zeros(len(queries), self.num_classes)
        found, done = {}, 0
        for k in sorted(set(self.ks)):
            votes.scatter_add_(1, labels[:, done:k], weights[:, done:k])
            found[k], done = votes.clone(), k
        return found
