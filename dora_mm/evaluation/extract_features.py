# Letters: M images, D channels.
from typing import Callable, Tuple

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather
from torch import Tensor
from torch.utils.data import DataLoader

from .progress import progress


@torch.no_grad()
def extract_features(encode: Callable[[dict], Tensor],
                     loader: DataLoader,
                     text: str = 'features') -> Tuple[Tensor, Tensor]:
    """Features of a whole data set, on every rank the same.

    Samplers fill up the last ranks with repeated images; each is put in the
    place that its index says, so the result does not depend on the number of
    ranks.

    Args:
        encode (callable): A batch to features (B, D).
        loader (DataLoader): Its ``data_samples`` have ``gt_label`` and
            ``sample_idx``.
        text (str): Label of the progress bar.

    Returns:
        tuple[Tensor, Tensor]: Features (M, D), float32, L2-normalised, on the
        device of the model, and labels (M,), int64.

    Raises:
        ValueError: If an image was not seen.
    """
    size = len(loader.dataset)
    features, labels = None, torch.full((size, ), -1)
    for batch in progress(loader, text):
        found = F.normalize(encode(batch).float(), dim=1)
        if features is None:
            features = found.new_empty(size, found.shape[1])
        places = torch.tensor([(sample.sample_idx, int(sample.gt_label))
                               for sample in batch['data_samples']])
        # Every rank has as many batches: the sampler sees to that.
        for values, where in zip(
                all_gather(found), all_gather(places.to(found.device))):
            features[where[:, 0]] = values
            labels[where[:, 0].cpu()] = where[:, 1].cpu()
    if (labels < 0).any():
        raise ValueError(
            f'{int((labels < 0).sum())} of {size} images were not seen: use '
            "sampler=dict(type='DefaultSampler', shuffle=False, "
            'round_up=True) and no drop_last')
    return features, labels.to(features.device)
