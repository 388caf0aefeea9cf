# Letters: M images, D channels.
from typing import Callable, List, Tuple

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather
from torch import Tensor
from torch.utils.data import DataLoader

from .progress import progress


@torch.no_grad()
def collect(encode: Callable[[dict], Tuple[Tensor, ...]],
            loader: DataLoader,
            text: str = 'images') -> List[Tensor]:
    """Tensors of a whole data set, on every rank the same.

    Samplers fill up the last ranks with repeated images; each is put in the
    place that its index says, so the result does not depend on the number of
    ranks.

    Args:
        encode (callable): A batch to tensors (B, ...), always of the same
            shapes.
        loader (DataLoader): Its ``data_samples`` have ``sample_idx``.
        text (str): Label of the progress bar.

    Returns:
        list[Tensor]: (M, ...), on the device of the first tensor.

    Raises:
        ValueError: If an image was not seen.
    """
    size = len(loader.dataset)
    result, seen = None, torch.zeros(size, dtype=torch.bool)
    for batch in progress(loader, text):
        found = encode(batch)
        device = found[0].device
        if result is None:
            result = [
                part.new_empty(size, *part.shape[1:]).to(device)
                for part in found
            ]
        indices = torch.tensor([s.sample_idx for s in batch['data_samples']],
                               device=device)
        # Every rank has as many batches: the sampler sees to that.
        places = all_gather(indices)
        for whole, part in zip(result, found):
            for values, where in zip(all_gather(part.to(device)), places):
                whole[where] = values
        for where in places:
            seen[where.cpu()] = True
    if not seen.all():
        raise ValueError(
            f'all {size} images must be seen, but got '
            f'{int(seen.sum())} of them: use '
            "sampler=dict(type='DefaultSampler', shuffle=False, "
            'round_up=True) and no drop_last')
    return result


def extract_features(encode: Callable[[dict], Tensor],
                     loader: DataLoader,
                     text: str = 'features') -> Tuple[Tensor, Tensor]:
    """Features of a whole data set, on every rank the same.

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

    def both(batch: dict) -> Tuple[Tensor, Tensor]:
        features = F.normalize(encode(batch).float(), dim=1)
        labels = [int(s.gt_label) for s in batch['data_samples']]
        return features, torch.tensor(labels)

    features, labels = collect(both, loader, text)
    return features, labels
