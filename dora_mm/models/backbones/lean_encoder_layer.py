# Letters: B images, H heads, N patches, S tokens ([CLS] and N patches),
# D channels, d = D / H.
from typing import Optional, Tuple

import torch.nn.functional as F
from mmcv.cnn.bricks.transformer import FFN
from mmpretrain.models.backbones.vision_transformer import \
    TransformerEncoderLayer
from torch import Tensor

from ..utils.recompute import recompute


class LeanEncoderLayer(TransformerEncoderLayer):
    """mmpretrain's ViT layer that keeps little for the backward pass.

    Equal to the stock layer in parameters and results. The outputs of the
    norms and of the activation, 6 of the 16 values that a stock layer keeps
    per token and channel, are computed again in the backward pass, where they
    cost one pass over memory each.

    ``cls_only`` computes just the [CLS] token, which saves most of the last
    layer of a model whose output is that token. Paddings of sequences of
    different length are kept out by ``key_mask``.
    """

    @classmethod
    def adopt(cls, layer: TransformerEncoderLayer) -> 'LeanEncoderLayer':
        """Make a stock layer lean, in place: its parameters stay its own.

        Args:
            layer (TransformerEncoderLayer): As the stock class built it.

        Returns:
            LeanEncoderLayer: The layer.
        """
        layer.__class__ = cls
        return layer

    # Positional arguments, since mmengine's activation checkpointing passes
    # no others on.
    def forward(self,
                x: Tensor,
                cls_only: bool = False,
                key_mask: Optional[Tensor] = None) -> Tensor:
        """One layer.

        Args:
            x (Tensor): (B, S, D), [CLS] first.
            cls_only (bool): Compute the first token only. Defaults to False.
            key_mask (Tensor, optional): (B, S), bool, False for tokens that
                nothing attends to.

        Returns:
            Tensor: (B, S, D), or (B, 1, D) with ``cls_only``.
        """
        attn_out, _, _ = self.attend(x, cls_only, key_mask)
        return self.feed_forward((x[:, :1] if cls_only else x) + attn_out)

    def attend(
            self,
            x: Tensor,
            cls_only: bool = False,
            key_mask: Optional[Tensor] = None
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """The attention of the layer, without the residual.

        Args:
            x, cls_only, key_mask: See :meth:`forward`.

        Returns:
            tuple[Tensor]: Output (B, S, D), query and key (B, H, S, d); the
            output and the query of one token with ``cls_only``.
        """
        attn = self.attn
        project = self._project_cls if cls_only else self._project
        query, key, value = (
            tensor.unflatten(-1, (-1, attn.head_dims)).transpose(1, 2)
            for tensor in recompute(project, x))  # (B, H, S, d)
        if key_mask is not None:
            key_mask = key_mask[:, None, None]  # (B, 1, 1, S)
        out = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=key_mask,
            dropout_p=attn.attn_drop if attn.training else 0.)
        out = attn.proj_drop(attn.proj(out.transpose(1, 2).flatten(2)))
        return attn.out_drop(attn.gamma1(out)), query, key

    def feed_forward(self, x: Tensor) -> Tensor:
        """The MLP of the layer, with the residual: (B, S, D) to the same."""
        ffn = self.ffn
        if type(ffn) is not FFN or ffn.num_fcs != 2:
            return ffn(self.ln2(x), identity=x)
        (linear, activation, drop), *rest = ffn.layers

        def second_linear(hidden):
            return rest[0](drop(activation(hidden)))

        hidden = recompute(lambda x: linear(self.ln2(x)), x)
        out = recompute(
            second_linear, hidden, random=drop.training and drop.p > 0)
        return x + ffn.dropout_layer(ffn.gamma2(rest[1](out)))

    def _project(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Query, key and value of all tokens, each (B, S, D)."""
        return self.attn.qkv(self.ln1(x)).chunk(3, dim=-1)

    def _project_cls(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Query of the first token (B, 1, D), key and value of all."""
        qkv, dims = self.attn.qkv, self.attn.embed_dims
        bias = (None, None)
        if qkv.bias is not None:
            bias = (qkv.bias[:dims], qkv.bias[dims:])
        x = self.ln1(x)
        query = F.linear(x[:, :1], qkv.weight[:dims], bias[0])
        return query, *F.linear(x, qkv.weight[dims:], bias[1]).chunk(2, dim=-1)
