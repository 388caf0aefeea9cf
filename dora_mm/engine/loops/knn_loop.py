from typing import List, Sequence, Union

import torch
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from dora_mm.evaluation.knn_classifier import common_classes
from dora_mm.evaluation.knn_variants import KNNVariants
from dora_mm.evaluation.progress import progress
from dora_mm.registry import LOOPS
from ..unwrap_model import unwrap_model
from .progress_test_loop import ProgressTestLoop


@LOOPS.register_module()
class KNNLoop(ProgressTestLoop):
    """Classify the test images by their neighbours in the training set.

    The memory is extracted first, each rank a share; then every rank searches
    all of it for its share of the test images. The numbers do not depend on
    the number of ranks.

    Args:
        runner (Runner): Its model is a :class:`FrozenEncoder`.
        dataloader (DataLoader | dict): Test images.
        evaluator (Evaluator | dict | list): :class:`KNNMetric`.
        memory_dataloader (dict): Training images.
        ks (Sequence[int]): Numbers of neighbours. Defaults to DINO's.
        temperature (float): Of the votes. Defaults to 0.07.
        variants (Sequence[str]): Features to search, see
            :class:`KNNVariants`. Defaults to ('cls', ).
    """

    def __init__(self,
                 runner: Runner,
                 dataloader: Union[DataLoader, dict],
                 evaluator: Union[Evaluator, dict, List],
                 memory_dataloader: dict,
                 ks: Sequence[int] = (10, 20, 100, 200),
                 temperature: float = 0.07,
                 variants: Sequence[str] = ('cls', )) -> None:
        super().__init__(runner, dataloader, evaluator)
        self.memory_loader = runner.build_dataloader(
            memory_dataloader, seed=runner.seed)
        self.ks = ks
        self.temperature = temperature
        self.variants = variants

    def predict(self) -> None:
        """Extract the memory and search it."""
        model = unwrap_model(self.runner.model)
        memory = self.memory_loader
        classes = common_classes(memory.dataset, self.dataloader.dataset)
        classifier = KNNVariants(model.encode_both, memory, len(classes),
                                 self.variants, self.ks, self.temperature)
        for batch in progress(self.dataloader, 'queries'):
            self._classify(model, classifier, batch)

    @torch.no_grad()
    def _classify(self, model: nn.Module, classifier: KNNVariants,
                  batch: dict) -> None:
        votes = classifier.votes(model.encode_both(batch))
        votes = {name: values.cpu() for name, values in votes.items()}
        samples = [
            dict(
                gt_label=sample.gt_label,
                votes={
                    name: values[i]
                    for name, values in votes.items()
                }) for i, sample in enumerate(batch['data_samples'])
        ]
        self.evaluator.process(data_samples=samples, data_batch=batch)
