from itertools import count
from typing import Any, Dict, Iterator, List, Optional, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dataset import default_collate
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, Sampler

from dora_mm.evaluation.extract_features import extract_features
from dora_mm.evaluation.knn_classifier import common_classes
from dora_mm.models.evaluators import FrozenEncoder
from dora_mm.registry import DATASETS, HOOKS
from dora_mm.utils.pixels import RGB_MEAN, RGB_STD
from ..unwrap_model import unwrap_model
from .labelled_loader import labelled_loader

_KEY = 'linear_probe'


@HOOKS.register_module()
class LinearProbeHook(Hook):
    """Train a linear classifier on the teacher while the teacher trains.

    After each step of the run the classifier takes a step of its own (SGD,
    momentum 0.9, constant rate) on a batch of a labelled set, on the
    teacher's [CLS] tokens of length 1, through which no gradient flows. Its
    top-1 accuracy in per cent on another set is logged as
    ``linear_probe/top1``. As the features move under it, it is an early
    estimate and below that of ``configs/benchmarks``. Training goes on as it
    would have without. The classifier is saved with each checkpoint and
    resumed. Every rank trains the same one.

    Args:
        train (dict): Data set to learn from, :class:`ClassFolderDataset`.
        test (dict): Data set to classify.
        interval (int): Iterations from one evaluation to the next. The last
            iteration counts as well. Defaults to 1000.
        lr (float): Rate. Defaults to 10, as features have the length 1.
        batch_size (int): Images at a time. Defaults to 64.
        num_workers (int): Of a data loader. Defaults to 2.
        mean, std (Sequence[float]): Of the pixels, on the scale 0 to 255.

    Raises:
        ValueError: If ``interval``, ``lr`` or ``batch_size`` is not positive.
    """

    priority = 'LOW'

    def __init__(self,
                 train: dict,
                 test: dict,
                 interval: int = 1000,
                 lr: float = 10.,
                 batch_size: int = 64,
                 num_workers: int = 2,
                 mean: Sequence[float] = RGB_MEAN,
                 std: Sequence[float] = RGB_STD) -> None:
        for name, value in dict(
                interval=interval, lr=lr, batch_size=batch_size).items():
            if not value > 0:
                raise ValueError(f'{name} must be positive, but got {value}: '
                                 'raise it, or leave LinearProbeHook out')
        self.datasets = dict(train=train, test=test)
        self.interval = interval
        self.lr = lr
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.data_preprocessor = dict(
            type='mmengine.ImgDataPreprocessor', mean=mean, std=std)
        self._saved: Optional[Dict[str, Any]] = None

    def before_train(self, runner: Runner) -> None:
        """Build loaders and classifier, or take up those of a checkpoint."""
        # Neither construction nor workers may draw from the run's generator.
        with torch.random.fork_rng(devices=[]):
            self._build(runner)

    def _build(self, runner: Runner) -> None:
        model = unwrap_model(runner.model)
        self.encoder = FrozenEncoder(model.teacher['backbone'],
                                     self.data_preprocessor)
        device = next(model.parameters()).device
        self.encoder.to(device)
        self.test_loader = labelled_loader(runner, self.datasets['test'],
                                           self.batch_size, self.num_workers)
        train = DATASETS.build(self.datasets['train'])
        classes = common_classes(train, self.test_loader.dataset)
        channels = model.backbone.embed_dims
        self.probe = nn.Linear(channels, len(classes)).to(device)
        nn.init.zeros_(self.probe.weight)
        nn.init.zeros_(self.probe.bias)
        self.optimizer = torch.optim.SGD(
            self.probe.parameters(), self.lr, momentum=0.9)
        self.num_steps = 0
        if self._saved is not None:
            self.probe.load_state_dict(self._saved['probe'])
            self.optimizer.load_state_dict(self._saved['optimizer'])
            self.num_steps = self._saved['num_steps']
        self._batches = iter(
            DataLoader(
                train,
                batch_sampler=_Batches(
                    len(train), self.batch_size, runner.seed, self.num_steps),
                num_workers=self.num_workers,
                collate_fn=default_collate))

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Take a step; evaluate every ``interval`` iterations and at last."""
        with torch.random.fork_rng(devices=[]):
            self._step(next(self._batches))
            if self.every_n_train_iters(runner, self.interval) or \
                    self.is_last_train_iter(runner):
                top1 = self._evaluate()
                runner.logger.info(f'{_KEY}/top1: {top1:.2f}')
                runner.visualizer.add_scalars({f'{_KEY}/top1': top1},
                                              step=runner.iter + 1)

    def _step(self, batch: dict) -> None:
        features = F.normalize(self.encoder.encode(batch), dim=1)
        labels = torch.tensor([int(s.gt_label) for s in batch['data_samples']],
                              device=features.device)
        with torch.enable_grad():
            loss = F.cross_entropy(self.probe(features), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.num_steps += 1

    @torch.no_grad()
    def _evaluate(self) -> float:
        features, labels = extract_features(self.encoder.encode,
                                            self.test_loader, 'linear probe')
        right = self.probe(features).argmax(1) == labels.to(features.device)
        return 100 * float(right.float().mean())

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the classifier."""
        if hasattr(self, 'probe'):
            checkpoint[_KEY] = dict(
                probe=self.probe.state_dict(),
                optimizer=self.optimizer.state_dict(),
                num_steps=self.num_steps)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the classifier of a run that resumes for later."""
        if runner.cfg.get('resume'):
            self._saved = checkpoint.get(_KEY)


class _Batches(Sampler):
    """Batches without end: in each round all images in another order.

    Which ones a step gets depends on its number alone, so a run that resumes
    goes on with those that it would have had.
    """

    def __init__(self, num_images: int, batch_size: int, seed: int,
                 start: int) -> None:
        self.num_images = num_images
        self.batch_size = min(batch_size, num_images)
        self.seed = seed
        self.start = start

    def __iter__(self) -> Iterator[List[int]]:
        per_round = self.num_images // self.batch_size
        for step in count(self.start):
            number, place = divmod(step, per_round)
            if place == 0 or step == self.start:
                order = np.random.default_rng(
                    (self.seed, number)).permutation(self.num_images)
            begin = place * self.batch_size
            yield order[begin:begin + self.batch_size].tolist()
