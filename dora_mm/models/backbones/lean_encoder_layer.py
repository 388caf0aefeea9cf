# Letters: B images, H heads, N patches, S tokens ([CLS] and N patches),
# D channels, d = D / H.
from contextlib import nullcontext
from typing import Callable, ContextManager, List, Optional, Sequence, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmcv.cnn.bricks.drop import DropPath
from mmcv.cnn.bricks.transformer import FFN
from mmengine.model import Sequential as MMSequential
from mmpretrain.models.backbones.vision_transformer import \
    TransformerEncoderLayer
from mmpretrain.models.utils.attention import (MultiheadAttention,
                                               scaled_dot_product_attention)
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..utils.half_gelu import HalfGELU
from ..utils.plain_modules import has_hooks, is_plain
from ..utils.recompute import recompute

# Neither an older Dynamo nor AMD's kernels were tried.
_CHOOSES_KERNELS = torch.__version__ >= '2.6' and not torch.version.hip
_SHORT = 64  # tokens


class LeanEncoderLayer(TransformerEncoderLayer):
    """mmpretrain's ViT layer that keeps little for the backward pass.

    Equal to the stock layer in parameters and results. With ``recompute``,
    the outputs of the norms and of the activation, 6 of the 16 values that a
    stock layer keeps per token and channel, are computed again in the
    backward pass, where they cost one pass over memory each.

    ``cls_only`` computes just the [CLS] token, which saves most of the last
    layer of a model whose output is that token. Paddings of sequences of
    different length are kept out by ``key_mask``.

    Tokens leave the layer in the dtype in which they come; norms compute in
    that of their weights.

    Parts that were replaced (LoRA, quantised layers) or have hooks are called
    as the stock layer calls them. The rates of drop path are those that its
    modules have at the time.

    Attributes:
        recompute (bool): See above. torch.compile decides for itself.
    """

    recompute: bool = True

    @classmethod
    def adopt(cls, layer: TransformerEncoderLayer) -> 'LeanEncoderLayer':
        """Make a stock layer lean, in place: its parameters stay its own.

        Args:
            layer (TransformerEncoderLayer): As the stock class built it.

        Returns:
            LeanEncoderLayer: The layer.
        """
        layer.__class__ = cls
        for module in layer.modules():
            # The stock class leaves numpy's, which Dynamo cannot compare.
            if isinstance(module, DropPath):
                module.drop_prob = float(module.drop_prob)
        layer._built_of = [type(module) for module in layer.modules()]
        return layer

    def is_as_built(self) -> bool:
        """Whether no part has been replaced, patched or hooked since.

        Of an MLP that convolves, say, [CLS] cannot be computed alone.
        """
        parts = [*self.modules()]
        return [type(part) for part in parts] == getattr(
            self, '_built_of', None) and not any(map(has_hooks, parts))

    # Positional arguments, since mmengine's activation checkpointing passes
    # no others on.
    def forward(self,
                x: Tensor,
                cls_only: bool = False,
                key_mask: Optional[Tensor] = None,
                paths: Optional[Tensor] = None) -> Tensor:
        """One layer.

        Args:
            x (Tensor): (B, S, D), [CLS] first.
            cls_only (bool): Compute the first token only. Defaults to False.
            key_mask (Tensor, optional): (B, S), bool, False for tokens that
                nothing attends to.
            paths (Tensor, optional): Factors (2, B, 1, 1) of the two residual
                branches, see :func:`draw_paths`. None draws them here.

        Returns:
            Tensor: (B, S, D), or (B, 1, D) with ``cls_only``.
        """
        if key_mask is None and not _is_stock_attention(self.attn):
            x = (x + self.attn(norm_tokens(self.ln1, x))).to(x.dtype)
            return self._feed_forward(x[:, :1] if cls_only else x,
                                      None if paths is None else paths[1])
        return self.forward_track(x, cls_only, key_mask, paths)[0]

    def forward_track(
        self,
        x: Tensor,
        cls_only: bool = False,
        key_mask: Optional[Tensor] = None,
        paths: Optional[Tensor] = None
    ) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        """One layer, and what a tracker needs of its attention.

        Args:
            x, cls_only, key_mask, paths: See :meth:`forward`.

        Returns:
            tuple[Tensor]: What :meth:`forward` returns; output of the
            attention (B, S, D) without the residual; query and key
            (B, H, S, d). Output and query are of one token with ``cls_only``.
        """
        attn_path, ffn_path = (None, None) if paths is None else paths
        attn_out, query, key = self._attend(x, cls_only, key_mask)
        x = self._add(x[:, :1] if cls_only else x, attn_out, attn_path,
                      self.attn.out_drop)
        return self._feed_forward(x, ffn_path), attn_out, query, key

    def _attend(self, x: Tensor, cls_only: bool,
                key_mask: Optional[Tensor]) -> Tuple[Tensor, Tensor, Tensor]:
        """Output of the attention, query and key."""
        attn = self.attn
        project = self._project_cls if cls_only else self._project
        query, key, value = (
            tensor.unflatten(-1, (-1, attn.head_dims)).transpose(1, 2)
            for tensor in self._keep_inputs(project, x))  # (B, H, S, d)
        if key_mask is not None:
            key_mask = key_mask[:, None, None]  # (B, 1, 1, S)
        with _attention_kernels(key, key_mask):
            out = F.scaled_dot_product_attention(
                query,
                key,
                value,
                attn_mask=key_mask,
                dropout_p=attn.attn_drop if attn.training else 0.)
        out = attn.proj_drop(attn.proj(out.transpose(1, 2).flatten(2)))
        return attn.gamma1(out), query, key

    def _feed_forward(self, x: Tensor, path: Optional[Tensor]) -> Tensor:
        """The MLP, with the residual: (B, S, D) to the same."""
        ffn = self.ffn
        if not _is_stock_mlp(ffn):
            return ffn(norm_tokens(self.ln2, x), identity=x).to(x.dtype)
        (linear, activation, drop), *rest = ffn.layers

        def second_linear(hidden: Tensor) -> Tensor:
            return rest[0](drop(_activate(activation, hidden)))

        hidden = self._keep_inputs(lambda x: linear(norm_tokens(self.ln2, x)),
                                   x)
        if getattr(activation, 'inplace', False):  # its input is gone
            out = second_linear(hidden)
        else:
            out = self._keep_inputs(
                second_linear, hidden, random=drop.training and drop.p > 0)
        return self._add(x, ffn.gamma2(rest[1](out)), path, ffn.dropout_layer)

    def _add(self, x: Tensor, branch: Tensor, path: Optional[Tensor],
             drop: nn.Module) -> Tensor:
        """A residual branch, dropped for some images, in the dtype of x."""
        if path is None and _rate(drop):
            path = _draw([[_rate(drop)]], x.shape[0], x.device)
        if path is not None:
            branch = branch * path.view(-1, 1, 1)
        return (x + branch).to(x.dtype)

    def _keep_inputs(self,
                     function: Callable[[Tensor], Tensor],
                     x: Tensor,
                     random: bool = False) -> Tensor:
        """Call a function, and with ``recompute`` keep its input only."""
        if self.recompute:
            return recompute(function, x, random=random)
        return function(x)

    def _project(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Query, key and value of all tokens, each (B, S, D)."""
        return self.attn.qkv(norm_tokens(self.ln1, x)).chunk(3, dim=-1)

    def _project_cls(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Query of the first token (B, 1, D), key and value of all."""
        qkv, dims = self.attn.qkv, self.attn.embed_dims
        if not is_plain(qkv, nn.Linear):
            query, key, value = self._project(x)
            return query[:, :1], key, value
        bias = (None, None)
        if qkv.bias is not None:
            bias = (qkv.bias[:dims], qkv.bias[dims:])
        x = norm_tokens(self.ln1, x)
        query = F.linear(x[:, :1], qkv.weight[:dims], bias[0])
        return query, *F.linear(x, qkv.weight[dims:], bias[1]).chunk(2, dim=-1)


def _attention_kernels(key: Tensor,
                       key_mask: Optional[Tensor]) -> ContextManager:
    """Which kernels may compute attention with keys (B, H, S, d).

    Those that are made for long sequences take 1.6 times as long for the 50
    tokens of a local view as the memory-efficient one; PyTorch does not look
    at the length.
    """
    if _CHOOSES_KERNELS and key.is_cuda and key_mask is None and (
            key.shape[2] <= _SHORT):
        return sdpa_kernel(
            [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])
    return nullcontext()


def _activate(activation: nn.Module, hidden: Tensor) -> Tensor:
    """The activation of the MLP, GELU as one fast kernel where compiled."""
    if torch.compiler.is_compiling() and type(activation) is nn.GELU and (
            activation.approximate == 'none'
            and hidden.dtype in (torch.bfloat16, torch.float16)):
        return HalfGELU.apply(hidden)
    return activation(hidden)


def _is_stock_attention(attn: nn.Module) -> bool:
    """Whether attention may be computed here, by the parts of the module."""
    return is_plain(attn, MultiheadAttention) and is_plain(
        attn.out_drop, DropPath) and not attn.v_shortcut and (
            attn.scaled_dot_product_attention is scaled_dot_product_attention)


def _is_stock_mlp(ffn: nn.Module) -> bool:
    """Whether the MLP may be computed here, by the parts of the module."""
    if not is_plain(ffn, FFN) or not is_plain(ffn.layers, MMSequential):
        return False
    first = ffn.layers[0]
    return len(ffn.layers) == 3 and is_plain(first, MMSequential) and (
        len(first) == 3 and is_plain(ffn.dropout_layer, DropPath)
        and ffn.add_identity)


def draw_paths(layers: Sequence[nn.Module], batch: int,
               device: torch.device) -> List[Optional[Tensor]]:
    """Draw which residual branches of which images are left out.

    Drop path (stochastic depth) as factors of the branches: 0 at the layer's
    rate, else 1 / (1 - rate). They are drawn outside the layers, so that what
    torch.compile makes of one layer does for all, whatever their rates. mmcv
    draws in the dtype of the tokens, where a half-precision sum moves small
    rates; here draws and factors are float32.

    Args:
        layers (Sequence[nn.Module]): L layers.
        batch (int): B.
        device (torch.device): Where the factors are needed.

    Returns:
        list[Tensor | None]: L times factors (2, B, 1, 1), float32; ones where
        this layer drops nothing, None where no layer does, and for layers
        that are no :class:`LeanEncoderLayer`.
    """
    are_lean = [isinstance(layer, LeanEncoderLayer) for layer in layers]
    rates = [[
        _rate(getattr(layer.attn, 'out_drop', None)),
        _rate(getattr(layer.ffn, 'dropout_layer', None))
    ] if is_lean else [0., 0.] for layer, is_lean in zip(layers, are_lean)]
    drops = [pair for pair in rates if any(pair)]
    if not drops:
        return [None] * len(rates)
    drawn = iter(_draw(drops, batch, device))
    ones = torch.ones(2, batch, 1, 1, device=device)
    return [(next(drawn) if any(pair) else ones) if is_lean else None
            for pair, is_lean in zip(rates, are_lean)]


def _rate(drop: Optional[nn.Module]) -> float:
    """At which a module drops paths now; 0 of what does it by itself."""
    if type(drop) is not DropPath or not drop.training:
        return 0.
    return float(drop.drop_prob)


def _draw(rates: List[List[float]], batch: int,
          device: torch.device) -> Tensor:
    """Factors (L, R, B, 1, 1) of R branches with these L times R rates."""
    drops = torch.tensor(rates).to(device, non_blocking=True)
    drops = drops[..., None, None, None]
    noise = torch.rand(*drops.shape[:2], batch, 1, 1, device=device)
    return (noise >= drops) / (1 - drops)


def norm_tokens(norm: nn.Module, x: Tensor) -> Tensor:
    """Normalise tokens, in the dtype of the weights but out in their own."""
    return norm(as_weights(norm, x)).to(x.dtype)


def as_weights(norm: nn.Module, x: Tensor) -> Tensor:
    """Tokens in the dtype of a norm's weights, if it has any."""
    weight = getattr(norm, 'weight', None)
    return x if weight is None else x.to(weight.dtype)
