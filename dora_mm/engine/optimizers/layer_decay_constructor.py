from typing import Callable, List, Optional, Tuple

from mmpretrain.engine.optimizers import \
    LearningRateDecayOptimWrapperConstructor
from torch import nn

from dora_mm.registry import OPTIM_WRAPPER_CONSTRUCTORS

_SETTINGS = {
    'layer_decay_rate', 'custom_keys', 'bias_decay_mult', 'norm_decay_mult',
    'flat_decay_mult'
}


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
        paramwise_cfg (dict): See mmpretrain's constructor. Here ``lr_mult``
            of ``custom_keys`` counts, too.

    Raises:
        ValueError: If ``paramwise_cfg`` says no ``layer_decay_rate``, or what
            mmpretrain's constructor passes over, as names of the hosts' own;
            or the optimiser says no ``weight_decay``.
    """

    def __init__(self,
                 optim_wrapper_cfg: dict,
                 paramwise_cfg: Optional[dict] = None) -> None:
        settings = paramwise_cfg or {}
        unknown = sorted(set(settings) - _SETTINGS)
        if unknown or 'layer_decay_rate' not in settings:
            raise ValueError(
                'paramwise_cfg must have layer_decay_rate, and of '
                f'{sorted(_SETTINGS)} only, with LayerDecayConstructor, but '
                f'got {unknown or sorted(settings)}: what mmsegmentation and '
                'mmdetection call decay_rate is layer_decay_rate')
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        if self.base_wd is None:
            raise ValueError(
                'optimizer.weight_decay must be a number with '
                'LayerDecayConstructor, but got None: set it, to 0 for none')

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
        if prefix == '':
            for group in params:
                group['lr'] *= group.pop('lr_mult', 1.)
