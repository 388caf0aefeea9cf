from typing import Dict, Optional, Sequence

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from dora_mm.evaluation.knn_classifier import common_classes
from dora_mm.evaluation.knn_variants import VARIANTS, KNNVariants
from dora_mm.models.evaluators import FrozenEncoder
from dora_mm.registry import HOOKS
from dora_mm.utils.pixels import RGB_MEAN, RGB_STD
from ..unwrap_model import unwrap_model
from .labelled_loader import labelled_loader


@HOOKS.register_module()
class KNNHook(Hook):
    """Watch the accuracy of nearest neighbours during training.

    Takes the teacher's features of a small labelled set, logs the top-1
    accuracy in per cent as ``knn/k20_top1``, that of variants as
    ``knn/patch_white_k20_top1`` and the like, and hands it to the visualizer.
    The numbers are those of ``tools/test.py``; training goes on as it would
    have without.

    Args:
        memory (dict): Data set of the neighbours, :class:`ClassFolderDataset`.
        queries (dict): Data set to classify.
        interval (int): Iterations from one time to the next. The last
            iteration counts as well. Defaults to 1000.
        ks (Sequence[int]): Numbers of neighbours. Defaults to (20, ).
        temperature (float): Of the votes. Defaults to 0.07.
        batch_size (int): Images at a time. Defaults to 64.
        num_workers (int): Of a data loader. Defaults to 2.
        variants (Sequence[str]): Features to search, see
            :class:`KNNVariants`. Defaults to all.
        mean, std (Sequence[float]): Of the pixels, on the scale 0 to 255.

    Raises:
        ValueError: If ``interval`` is not positive.
    """

    priority = 'LOW'

    def __init__(self,
                 memory: dict,
                 queries: dict,
                 interval: int = 1000,
                 ks: Sequence[int] = (20, ),
                 temperature: float = 0.07,
                 batch_size: int = 64,
                 num_workers: int = 2,
                 variants: Sequence[str] = VARIANTS,
                 mean: Sequence[float] = RGB_MEAN,
                 std: Sequence[float] = RGB_STD) -> None:
        if interval < 1:
            raise ValueError('interval must be at least 1, but got '
                             f'{interval}: give the iterations from one '
                             'evaluation to the next')
        self.datasets = dict(memory=memory, queries=queries)
        self.interval = interval
        self.ks = ks
        self.temperature = temperature
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.variants = variants
        self.data_preprocessor = dict(
            type='mmengine.ImgDataPreprocessor', mean=mean, std=std)

    def before_train(self, runner: Runner) -> None:
        """Build the loaders, so that a wrong path shows at once."""
        self.loaders = {
            name: labelled_loader(runner, dataset, self.batch_size,
                                  self.num_workers)
            for name, dataset in self.datasets.items()
        }
        self.num_classes = len(
            common_classes(*(loader.dataset
                             for loader in self.loaders.values())))

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Evaluate every ``interval`` iterations and after the last one."""
        if self.every_n_train_iters(runner, self.interval) or \
                self.is_last_train_iter(runner):
            accuracy = self._evaluate(unwrap_model(runner.model))
            runner.logger.info('  '.join(f'{name}: {value:.2f}'
                                         for name, value in accuracy.items()))
            runner.visualizer.add_scalars(accuracy, step=runner.iter + 1)

    def _evaluate(self, model: nn.Module) -> Dict[str, float]:
        encoder = FrozenEncoder(model.teacher['backbone'],
                                self.data_preprocessor)
        encoder.to(next(model.parameters()).device)
        # the loaders draw numbers that training would have drawn
        with torch.random.fork_rng(devices=[]):
            classifier = KNNVariants(encoder.encode_both,
                                     self.loaders['memory'], self.num_classes,
                                     self.variants, self.ks, self.temperature)
            queries, labels = classifier.extract(self.loaders['queries'],
                                                 'queries')
        return {
            f'knn/{name}_top1':
            100 * float((votes.argmax(1) == labels).float().mean())
            for name, votes in classifier.votes(queries).items()
        }
