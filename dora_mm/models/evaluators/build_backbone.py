from typing import Any, Mapping

import torch
from mmengine.registry import DefaultScope
from torch import nn

from dora_mm.registry import MODELS


def build_backbone(settings: Mapping[str, Any]) -> nn.Module:
    """Build a network whose weights come from elsewhere.

    Types without a prefix are mmpretrain's. The default scope and the random
    numbers of the process are as before afterwards.

    Args:
        settings (dict): ``type`` and arguments.

    Returns:
        nn.Module: In eval mode.
    """
    with DefaultScope.overwrite_default_scope('mmpretrain'), \
            torch.random.fork_rng(devices=[]):
        network = MODELS.build(dict(settings))
    network.eval()  # mmpretrain's return None
    return network
