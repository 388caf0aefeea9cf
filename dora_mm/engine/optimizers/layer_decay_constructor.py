from typing import Callable, List, Optional, Tuple

from mmpretrain.engine.optimizers import \
    LearningRateDecayOptimWrapperConstructor
from torch import nn

from dora_mm.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayConstructor(LearningRateDecayOptimWrapperConstructor):
    """Layer-wise learning rates for a ViT inside a model of any host.

    The learning rate of a ViT of L layers is multiplied by
    ``layer_decay_rate ** (L + 1 - id)``, where id is 0 for the patch, position
    and class embeddings, i + 1 for layer i, and L + 1 for the final norm and
    all that is not the backbone. The parameters may be wrapped in DDP; frozen
    ones are left out.

    mmpretrain's constructor does this for a model that can tell the depth of
    a parameter, as its classifiers do; those of mmseg and mmdet cannot, and
    the hosts' own constructors only know the backbones that they name. This
    one asks ``model.backbone``.

    ``paramwise_cfg`` of iBOT's recipes, which decay no bias and nothing else
    of one dimension, but (their exemption never matches the names) the
    position embedding and [CLS]::

        paramwise_cfg=dict(
            layer_decay_rate=0.9, norm_decay_mult=0., bias_decay_mult=0.,
            flat_decay_mult=0.)

    Args:
        optim_wrapper_cfg (dict): As mmengine's constructor takes it.
        paramwise_cfg (dict): See mmpretrain's constructor.
    """

    def add_params(self,
                   params: List[dict],
                   module: nn.Module,
                   prefix: str = '',
                   get_layer_depth: Optional[Callable] = None,
                   **kwargs) -> None:
        """Append a group for each parameter of ``module`` to ``params``.

        Raises:
            ValueError: If the model has no ``backbone`` with
                ``get_layer_depth``.
        """
        if get_layer_depth is None:
            backbone = getattr(module, 'backbone', None)
            if not hasattr(backbone, 'get_layer_depth'):
                raise ValueError(
                    f'the backbone of {type(module).__name__} must have '
                    f'get_layer_depth, but got {type(backbone).__name__}: use '
                    'a ViT of dora_mm or mmpretrain')

            def get_layer_depth(name: str) -> Tuple[int, int]:
                return backbone.get_layer_depth(name, prefix='backbone.')

        super().add_params(params, module, prefix, get_layer_depth, **kwargs)
