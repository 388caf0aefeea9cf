# Letters: B clips or images, T frames, V views, K objects, M images of a view,
# H heads, N patches, D channels.
from typing import Any, Callable, Dict, Optional, Tuple, Union

import torch
import torch.nn as nn
from mmengine.model.weight_init import trunc_normal_
from mmpretrain.models import VisionTransformer
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor

from dora_mm.registry import MODELS
from ..utils import resize_pos_embed_dino
from ..utils.layer_compiler import call_layer
from ..utils.plain_modules import has_hooks
from ..utils.recompute import recompute
from ..utils.setting_checks import check_choice, check_prob
from .lean_encoder_layer import LeanEncoderLayer, as_weights, draw_paths
from .linear_patch_embed import LinearPatchEmbed
from .loaded_weights import (check_grid, check_parts, check_shapes,
                             pretrained_cfg, published_grid, say_grid)
from .masked_tokens import drop_hidden_patches, mask_patches, mask_pixels
from .tracked_forward import TrackedForward
from .vit_sizes import check_sizes


@MODELS.register_module()
class DoRAViT(TrackedForward, VisionTransformer):
    """mmpretrain's ViT with what DoRA's tracker needs of one layer.

    The state dict is that of :class:`mmpretrain.models.VisionTransformer`,
    key for key, so a trained backbone loads strictly into the stock class.

    Differences from the stock class: ``forward_track`` of
    :class:`TrackedForward`; ``forward_masked``; ``pos_interp``;
    ``norm_each_output``; layers that keep less for the backward pass
    (:class:`LeanEncoderLayer`), the last of which computes nothing but [CLS]
    where that is the output; patches that are projected by a matrix product
    (:class:`LinearPatchEmbed`); tokens in bfloat16 under autocast in
    bfloat16; initialisation as in DINO (truncated normal, std 0.02, for every
    linear layer, position embedding and [CLS]); ``train()`` and ``eval()``
    return self; frozen stages stay in eval mode; a checkpoint whose position
    embeddings are no square grid is refused, not distorted. Hooks see what
    those of the stock class see, and parts that are replaced, by LoRA or int8,
    are called. :meth:`forward_track` and compiled layers
    (:class:`LayerCompiler`) pass hooks over.

    Args:
        arch (str | dict): See :class:`mmpretrain.models.VisionTransformer`.
            ViT-Ti/S/B are 'deit-tiny', 'deit-small', 'deit-base'.
        pos_interp (str): How position embeddings are resized to another
            input size: 'dino' (scale factor with +0.1, the authors' code) or
            'size' (mmpretrain). Defaults to 'size'. This is about the size of
            an input that is not ``img_size``; embeddings that are loaded into
            a model of another ``img_size`` are resized as with 'size', once.
        norm_each_output (bool): Apply the final norm to every output, not to
            the last layer's only, as DINO's ``get_intermediate_layers`` and
            iBOT's ``out_with_norm`` do. Defaults to False.
        with_cp (bool): Activation checkpointing: keep the input of each layer
            only and compute the layer again in the backward pass, a third
            more arithmetic for a small part of the memory. Defaults to False.
        recompute (bool, optional): Compute norms and activations again in the
            backward pass, a third less memory for a few per cent of the time.
            None does so on a CPU, and on an accelerator if what the layers
            would keep takes half of its memory. Layers that are compiled
            decide for themselves. Defaults to None.
        bf16_tokens (bool): Keep tokens in bfloat16 between layers where
            autocast computes in it; norms still compute in float32. In
            float16 the residual sums could overflow: there tokens stay in
            float32. Defaults to True.
        **kwargs: Arguments of :class:`mmpretrain.models.VisionTransformer`.

    Raises:
        ValueError: If ``pos_interp`` is unknown, ``drop_path_rate`` is no
            probability, ``norm_each_output`` is asked of a model without
            final norm, a size of ``arch`` or ``patch_size`` is no positive
            integer, the heads do not share the channels evenly, or
            ``img_size`` is no multiple of ``patch_size``.
    """

    # How a layer is called: method, layer, tokens, and the other arguments.
    # A training step puts a LayerCompiler in its place.
    call_layer = staticmethod(call_layer)

    def __init__(self,
                 arch: Union[str, dict] = 'deit-small',
                 pos_interp: str = 'size',
                 norm_each_output: bool = False,
                 with_cp: bool = False,
                 recompute: Optional[bool] = None,
                 bf16_tokens: bool = True,
                 **kwargs: Any) -> None:
        check_prob('drop_path_rate', kwargs.get('drop_path_rate', 0.))
        check_sizes(arch, kwargs)
        super().__init__(arch=arch, **kwargs)
        self._pretrained_grid = None
        self._register_state_dict_hook(say_grid)
        self._register_load_state_dict_pre_hook(
            check_shapes, with_module=True)
        self.pos_interp = check_choice('pos_interp', pos_interp,
                                       ('dino', 'size'))
        self.with_cp = with_cp
        self.recompute = recompute
        self.bf16_tokens = bf16_tokens
        LinearPatchEmbed.adopt(self.patch_embed)
        for layer in self.layers:
            LeanEncoderLayer.adopt(layer)
        if norm_each_output and not self.final_norm:
            raise ValueError('final_norm must be True for '
                             'norm_each_output=True, which applies it to '
                             'every output, but got False: set either')
        self.norm_each_output = norm_each_output

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says, or as DINO does.

        Raises:
            ValueError: If a checkpoint leaves layers or the patch embedding
                as they are.
        """
        pretrained = pretrained_cfg(self.init_cfg)
        if pretrained:
            self._pretrained_grid = published_grid(pretrained['checkpoint'])
            with check_parts(self, pretrained):
                # The stock class draws position embeddings over those that a
                # list of initialisations loads.
                super(VisionTransformer, self).init_weights()
            self._pretrained_grid = None
            return
        super().init_weights()
        if self.init_cfg:
            return
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if self.cls_token is not None:
            trunc_normal_(self.cls_token, std=0.02)

    def train(self, mode: bool = True) -> 'DoRAViT':
        """Set the mode, keep frozen stages in eval, and return self."""
        super().train(mode)
        if mode and self.frozen_stages > 0:
            self._freeze_stages()
        return self

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Features of the layers in ``out_indices``.

        Args:
            x (Tensor): Images (B, 3, h, w), float, normalised.

        Returns:
            tuple[Tensor]: One entry per output layer, in ``out_type``.
        """
        return self._encode(*self._embed(x))

    def forward_masked(
        self,
        images: Tensor,
        masks: Tensor,
        drop_hidden: bool = False,
        mask_images: Optional[Callable[[Tensor, Tensor], Tensor]] = None
    ) -> Tuple[Tensor, ...]:
        """Features of masked copies of images, without the copies.

        A mask that hides whole patches is applied to projected patches: the
        projection of a visible patch is that of the image, and all hidden
        patches have the same one.

        Args:
            images (Tensor): (V, M, 3, h, w), float, normalised.
            masks (Tensor): (V, K, M, h / p, w / p), of K objects; > 0 is
                visible.
            drop_hidden (bool): Leave the hidden patches out instead of
                reading them as zeros, which changes the features. It waits
                for the device once, for the length of the longest sequence.
                Defaults to False.
            mask_images (Callable, optional): For masks that vary within a
                patch: applies masks (M, h / p, w / p) of one object to images
                (M, 3, h, w). A masked image exists while its patches are
                projected, and again in the backward pass. Defaults to None.

        Returns:
            tuple[Tensor]: As :meth:`forward` of the V * K * M masked images.

        Raises:
            ValueError: If ``drop_hidden`` meets an output that needs all
                patches.
        """
        if drop_hidden and self.out_type != 'cls_token':
            raise ValueError("out_type must be 'cls_token' to drop hidden "
                             f'patches, but got {self.out_type!r}')
        if mask_images is None:
            x, resolution = mask_patches(self.patch_embed, self._add_positions,
                                         images, masks)
        else:
            patches, resolution = mask_pixels(self.patch_embed, images, masks,
                                              mask_images)
            x = self._add_positions(patches, resolution)
        x, key_mask = self._drop_and_norm(x), None
        if drop_hidden:
            x, key_mask = drop_hidden_patches(x,
                                              masks.flatten(0, 2).flatten(1))
        return self._encode(x, resolution, key_mask)

    def _prepare_pos_embed(self, state_dict: Dict[str, Any], prefix: str,
                           local_metadata: Dict[str, Any], *args: Any,
                           **kwargs: Any) -> None:
        """Resize what is loaded from its grid to the grid of this model.

        The stock class takes every grid for a square one, and two grids of as
        many patches for one. Here the grid comes with the state dict, beside
        the version that PyTorch keeps there, or from the ``meta`` of a
        published file.

        Raises:
            ValueError: If the embeddings have to be resized and nothing says
                their grid.
        """
        loaded = state_dict.get(prefix + 'pos_embed')
        grid = (local_metadata or {}).get('grid', self._pretrained_grid)
        if loaded is None or grid == self.patch_resolution or (
                grid is None and loaded.shape == self.pos_embed.shape):
            return
        only_cls = not self.with_cls_token and (
            loaded.shape[1] == self.pos_embed.shape[1] + 1)
        if only_cls:
            super()._prepare_pos_embed(state_dict, prefix, local_metadata,
                                       *args, **kwargs)
            return
        check_grid(f'{prefix}pos_embed',
                   loaded.shape[1] - self.num_extra_tokens, grid,
                   self.patch_resolution)
        state_dict[prefix + 'pos_embed'] = resize_pos_embed(
            loaded, grid, self.patch_resolution, self.interpolate_mode,
            self.num_extra_tokens)

    def _embed(self, x: Tensor) -> Tuple[Tensor, Tuple[int, int]]:
        """Images (B, 3, h, w) to tokens (B, extra + N, D) and the grid."""
        patches, patch_resolution = self.patch_embed(x)
        x = self._add_positions(patches, patch_resolution)
        return self._drop_and_norm(x), patch_resolution

    def _add_positions(self, x: Tensor,
                       patch_resolution: Tuple[int, int]) -> Tensor:
        """Projected patches (B, N, D) to tokens (B, extra + N, D)."""
        if self.cls_token is not None:
            cls_token = self.cls_token.expand(x.shape[0], -1, -1)
            x = torch.cat((cls_token, x), dim=1)
        if self.pos_interp == 'dino':
            rows, columns = self.patch_resolution
            if rows != columns:
                raise ValueError(
                    "img_size must be square with pos_interp='dino', but this "
                    f'model has {rows} x {columns} patches: set '
                    "pos_interp='size'")
            pos_embed = resize_pos_embed_dino(self.pos_embed, patch_resolution,
                                              self.num_extra_tokens)
        else:
            pos_embed = resize_pos_embed(
                self.pos_embed,
                self.patch_resolution,
                patch_resolution,
                mode=self.interpolate_mode,
                num_extra_tokens=self.num_extra_tokens)
        return self._between_layers(x + pos_embed)

    def _drop_and_norm(self, x: Tensor) -> Tensor:
        """What follows the positions of tokens (B, extra + N, D)."""
        return self._between_layers(self.pre_norm(self.drop_after_pos(x)))

    def _between_layers(self, x: Tensor) -> Tensor:
        """Tokens in the dtype that they have between layers."""
        device = x.device.type
        half = torch.is_autocast_enabled(device) and (
            torch.get_autocast_dtype(device) is torch.bfloat16)
        return x.bfloat16() if half and self.bf16_tokens else x

    def _encode(self,
                x: Tensor,
                patch_resolution: Tuple[int, int],
                key_mask: Optional[Tensor] = None) -> Tuple[Tensor, ...]:
        """Tokens (B, S, D), of which ``key_mask`` (B, S) hides some, to the
        features of the layers in ``out_indices``."""
        outs = []
        self._choose_recompute(x)
        paths = draw_paths(self.layers, x.shape[0], x.device)
        for i, layer in enumerate(self.layers):
            is_last = i == self.num_layers - 1
            call, args = layer, (x, )
            if isinstance(layer, LeanEncoderLayer) or key_mask is not None:
                call, args = self.call_layer, (
                    'forward', layer, x, is_last
                    and self._needs_cls_only(), key_mask, paths[i])
            x = recompute(
                call, *args, random=True) if self.with_cp else call(*args)
            if i in self.out_indices:
                normed = self.norm_each_output or is_last and self.final_norm
                out = self._final_norm(x) if normed else x
                outs.append(self._format_output(out, patch_resolution))
        return tuple(outs)

    def _needs_cls_only(self) -> bool:
        """Whether nobody sees other tokens of the last layer, hooks either."""
        if self.out_type != 'cls_token':
            return False
        if self.final_norm and has_hooks(self.ln1):
            return False
        return self.layers[-1].is_as_built()

    def _final_norm(self, x: Tensor) -> Tensor:
        """The final norm, in the dtype of its weights."""
        return self.ln1(as_weights(self.ln1, x))

    def _choose_recompute(self, x: Tensor) -> None:
        """Tell the layers what to keep of tokens (B, S, D)."""
        chosen = self.recompute
        if chosen is None:
            chosen = x.device.type != 'cuda' or (
                _kept_bytes(x) * self.num_layers > torch.cuda.
                get_device_properties(x.device).total_memory / 2)
        for layer in self.layers:
            layer.recompute = chosen


def _kept_bytes(x: Tensor) -> int:
    """What a stock layer keeps of tokens (B, S, D) for the backward pass."""
    half = torch.is_autocast_enabled(x.device.type)
    return 16 * x.numel() * (2 if half else x.element_size())
