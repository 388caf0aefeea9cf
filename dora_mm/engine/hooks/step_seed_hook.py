from typing import Optional

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dora_mm.registry import HOOKS
from ..unwrap_model import unwrap_model


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Make all random numbers of a step a function of seed and iteration.

    So a run resumed at any iteration draws what the uninterrupted run would
    have drawn, on every rank, and no generator states need saving. Drop path
    differs between ranks; the model gets one seed for all ranks and decides
    itself what it mixes the rank into.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: Optional[dict] = None) -> None:
        """Seed PyTorch on this rank, and the model's own draws."""
        step, local = np.random.SeedSequence(
            (runner.seed, runner.iter)).generate_state(2)
        model = unwrap_model(runner.model)
        model.seed_step(int(step))
        torch.manual_seed(int(local) + get_rank())
