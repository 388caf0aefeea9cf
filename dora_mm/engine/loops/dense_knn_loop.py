# Letters: M images, N patches, P patches kept of an image, C classes.
from typing import List, Tuple, Union

import torch
import torch.nn.functional as F
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader

from dora_mm.evaluation.extract_features import collect
from dora_mm.evaluation.iou_metric import IGNORED
from dora_mm.evaluation.knn_classifier import common_classes
from dora_mm.evaluation.nearest_rows import nearest_rows
from dora_mm.evaluation.progress import progress
from dora_mm.registry import LOOPS
from dora_mm.utils.check_temperature import check_temperature
from ..unwrap_model import unwrap_model
from .progress_test_loop import ProgressTestLoop


@LOOPS.register_module()
class DenseKNNLoop(ProgressTestLoop):
    """Segment test images by the patches of the training set.

    Balazevic et al., "Towards In-Context Scene Understanding", NeurIPS 2023
    (Hummingbird), as ``open-hummingbird-eval`` does it: a patch takes the
    labels of its 30 most similar training patches, weighted by
    softmax(similarity / 0.02); a training patch's label is the share of each
    class in its pixels.

    Args:
        runner (Runner): Its model is a :class:`DenseEncoder`.
        dataloader (DataLoader | dict): Test images with masks.
        evaluator (Evaluator | dict | list): :class:`IoUMetric`.
        memory_dataloader (dict): Training images with masks.
        memory_size (int): Patches kept at most; the same number of each
            image, drawn at random, is kept if there are more. Defaults to
            1,024,000.
        num_neighbours (int): Defaults to 30.
        temperature (float): Defaults to 0.02.

    Raises:
        ValueError: See :func:`check_temperature`.
    """

    def __init__(self,
                 runner: Runner,
                 dataloader: Union[DataLoader, dict],
                 evaluator: Union[Evaluator, dict, List],
                 memory_dataloader: dict,
                 memory_size: int = 1024000,
                 num_neighbours: int = 30,
                 temperature: float = 0.02) -> None:
        check_temperature('temperature', temperature, 0.02)
        super().__init__(runner, dataloader, evaluator)
        self.memory_loader = runner.build_dataloader(
            memory_dataloader, seed=runner.seed)
        self.memory_size = memory_size
        self.num_neighbours = num_neighbours
        self.temperature = temperature

    @torch.no_grad()
    def predict(self) -> None:
        """Fill the memory and segment."""
        model = unwrap_model(self.runner.model)
        dataset = self.memory_loader.dataset
        self.num_classes = len(
            common_classes(dataset, self.dataloader.dataset))
        self.patch = model.backbone.patch_size
        self.kept = max(self.memory_size // len(dataset), 1)

        def remember(batch: dict) -> Tuple[Tensor, Tensor]:
            return self._sample(model.encode(batch), batch)

        features, labels = collect(remember, self.memory_loader, 'memory')
        memory = features.flatten(0, 1), labels.flatten(0, 1)
        for batch in progress(self.dataloader, 'queries'):
            features = model.encode(batch)
            pred = self._segment(features, memory, batch['inputs'].shape[-2:])
            samples = [
                dict(
                    pred=pred[i].cpu(),
                    mask=sample.mask.long(),
                    num_classes=self.num_classes)
                for i, sample in enumerate(batch['data_samples'])
            ]
            self.evaluator.process(data_samples=samples, data_batch=batch)

    def _sample(self, features: Tensor,
                batch: dict) -> Tuple[Tensor, Tensor]:
        """Features (B, P, D) and labels (B, P, C) for the memory."""
        labels = torch.stack([
            patch_labels(sample.mask, self.patch, self.num_classes)
            for sample in batch['data_samples']
        ]).to(features.device)
        if self.kept >= features.shape[1]:
            return features, labels
        chosen = []
        for sample in batch['data_samples']:
            generator = torch.Generator().manual_seed(sample.sample_idx)
            order = torch.randperm(features.shape[1], generator=generator)
            chosen.append(order[:self.kept])
        chosen = torch.stack(chosen).to(features.device)[..., None]
        return tuple(
            part.gather(1, chosen.expand(-1, -1, part.shape[2]))
            for part in (features, labels))

    def _segment(self, features: Tensor, memory: Tuple[Tensor, Tensor],
                 size: Tuple[int, int]) -> Tensor:
        """(B, N, D) to classes (B, h, w)."""
        grid = (size[0] // self.patch, size[1] // self.patch)
        k = min(self.num_neighbours, len(memory[0]))
        similarity, index = nearest_rows(memory[0], features.flatten(0, 1), k)
        weights = (similarity / self.temperature).softmax(1)
        scores = torch.einsum('qk,qkc->qc', weights, memory[1][index])
        scores = scores.unflatten(0, (len(features), *grid)).movedim(-1, 1)
        scores = F.interpolate(scores, size, mode='bilinear')
        return scores.argmax(1)


def patch_labels(mask: Tensor, patch_size: int, num_classes: int) -> Tensor:
    """The share of each class in the pixels of each patch.

    Args:
        mask (Tensor): (h, w), classes, 255 for pixels that do not count.
        patch_size (int): Pixels.
        num_classes (int): C.

    Returns:
        Tensor: (N, C), float32; rows sum to 1, or to 0 where no pixel counts.
    """
    shares = F.one_hot(
        torch.where(mask == IGNORED, num_classes, mask.long()),
        num_classes + 1)[..., :num_classes].movedim(-1, 0)
    shares = F.avg_pool2d(shares[None].float(), patch_size)[0]
    shares = shares.flatten(1).T
    return shares / shares.sum(1, keepdim=True).clamp(min=1e-12)
