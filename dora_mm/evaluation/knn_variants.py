# Letters: M images in the memory, B queries, D channels, C classes.
from typing import Callable, Dict, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from .extract_features import collect
from .knn_classifier import KNNClassifier
from .whitening import Whitening

VARIANTS = ('cls', 'cls_white', 'patch', 'patch_white')


class KNNVariants:
    """Nearest neighbours of [CLS] and of mean patches, plain and whitened.

    Plain neighbours of [CLS] are the protocol. After a short training two
    components carry most of its variance, and the others tell more.

    Args:
        encode (callable): A batch to ``cls`` and ``patch``, each (B, D):
            :meth:`FrozenEncoder.encode_both`.
        loader (DataLoader): Of the memory, see :func:`collect`.
        num_classes (int): C.
        variants (Sequence[str]): Of 'cls', 'cls_white', 'patch' and
            'patch_white'; white is what :class:`Whitening` by the memory
            gives. Defaults to ('cls', ).
        ks, temperature: See :class:`KNNClassifier`.

    Raises:
        ValueError: If a variant is unknown, or see :class:`KNNClassifier`.
    """

    def __init__(self,
                 encode: Callable[[dict], Dict[str, Tensor]],
                 loader: DataLoader,
                 num_classes: int,
                 variants: Sequence[str] = ('cls', ),
                 ks: Sequence[int] = (10, 20, 100, 200),
                 temperature: float = 0.07) -> None:
        unknown = sorted(set(variants) - set(VARIANTS))
        if unknown or not variants:
            raise ValueError(f'variants must be of {VARIANTS}, but got '
                             f'{tuple(variants)}: leave {unknown} out')
        self.variants = tuple(variants)
        self.encode = encode
        memory, labels = self.extract(loader, 'memory')
        self._whitenings, self._classifiers = {}, {}
        for variant in self.variants:
            features = memory[variant.split('_')[0]]
            if variant.endswith('_white'):
                self._whitenings[variant] = Whitening(features)
                features = self._whitenings[variant](features)
            self._classifiers[variant] = KNNClassifier(features, labels,
                                                       num_classes, ks,
                                                       temperature)

    def extract(self, loader: DataLoader,
                text: str) -> Tuple[Dict[str, Tensor], Tensor]:
        """Features of a whole data set, on every rank the same.

        Args:
            loader (DataLoader): See :func:`collect`.
            text (str): Label of the progress bar.

        Returns:
            tuple[dict[str, Tensor], Tensor]: ``cls`` and ``patch``, as far as
            a variant needs them, (M, D), of length 1; and labels (M,).
        """
        names = sorted({v.split('_')[0] for v in self.variants})

        def encode(batch: dict) -> Tuple[Tensor, ...]:
            found = self.encode(batch)
            labels = [int(s.gt_label) for s in batch['data_samples']]
            return (*(F.normalize(found[name], dim=1) for name in names),
                    torch.tensor(labels))

        *features, labels = collect(encode, loader, text)
        return dict(zip(names, features)), labels

    def votes(self, queries: Dict[str, Tensor]) -> Dict[str, Tensor]:
        """The votes of all variants and numbers of neighbours.

        Args:
            queries (dict[str, Tensor]): ``cls`` and ``patch``, (B, D).

        Returns:
            dict[str, Tensor]: 'k20' for 20 neighbours of [CLS],
            'patch_white_k20' and the like for the others, to (B, C).
        """
        found = {}
        for variant, classifier in self._classifiers.items():
            features = F.normalize(queries[variant.split('_')[0]], dim=1)
            if variant in self._whitenings:
                features = self._whitenings[variant](features)
            prefix = '' if variant == 'cls' else f'{variant}_'
            for k, votes in classifier.votes(features).items():
                found[f'{prefix}k{k}'] = votes
        return found
