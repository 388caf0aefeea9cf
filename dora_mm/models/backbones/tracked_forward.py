# Letters: B clips, T frames, H heads, N patches, D channels.
import torch
from torch import Tensor

from ..utils import TrackFeatures
from ..utils.setting_checks import check_choice
from .lean_encoder_layer import draw_paths


class TrackedForward:
    """What DoRA's tracker reads of a ViT, as a part of :class:`DoRAViT`."""

    def check_track_settings(self, track_layer: int,
                             patch_feature: str) -> None:
        """Refuse what :meth:`forward_track` cannot run with.

        Args:
            track_layer (int): See there.
            patch_feature (str): See there.

        Raises:
            ValueError: If an argument is out of range or there is no [CLS].
        """
        if not -self.num_layers <= track_layer < self.num_layers:
            raise ValueError(f'track_layer must be in [-{self.num_layers}, '
                             f'{self.num_layers}), but got {track_layer}')
        check_choice('patch_feature', patch_feature, ('attention', 'final'))
        if self.cls_token is None:
            raise ValueError('backbone.with_cls_token must be True to track '
                             'objects, but got False')

    def forward_track(self,
                      clips: Tensor,
                      track_layer: int = -1,
                      patch_feature: str = 'final') -> TrackFeatures:
        """Features for discovering and tracking objects, in one forward.

        All frames go through as one batch. Attention is computed fused; only
        the [CLS] row of t0 in the tracking layer is ever materialised.

        Args:
            clips (Tensor): (B, T, 3, h, w), float, normalised.
            track_layer (int): Layer of queries, keys and attention; negative
                counts from the end. Defaults to -1, the last one, as in the
                paper (see :class:`DoRA`) and the authors' code.
            patch_feature (str): The patch tokens Z~: 'final', the tokens
                after the final norm, or 'attention', the output of the
                tracking layer's attention. Defaults to 'final'.

        Returns:
            TrackFeatures: See there for the shapes.

        Raises:
            ValueError: If an argument is out of range or there is no [CLS].
        """
        self.check_track_settings(track_layer, patch_feature)
        layers = range(self.num_layers)
        batch, frames = clips.shape[:2]
        x, _ = self._embed(clips.flatten(0, 1))  # (B * T, 1 + N, D)
        paths = draw_paths(self.layers, x.shape[0], x.device)
        for i, layer in enumerate(self.layers):
            is_tracked = i == layers[track_layer]
            cls_only = i == layers[-1] and not is_tracked and (
                patch_feature != 'final')
            x, *attention = self.call_layer('forward_track', layer, x,
                                            cls_only, None, paths[i])
            if is_tracked:
                attn_out, query, key = attention
        if self.final_norm:
            x = self._final_norm(x)

        def per_frame(tensor: Tensor) -> Tensor:
            return tensor.unflatten(0, (batch, frames))

        tokens = x if patch_feature == 'final' else attn_out
        query, key = per_frame(query), per_frame(key)  # (B, T, H, 1 + N, d)
        return TrackFeatures(
            cls_token=per_frame(x[:, 0]),
            patch_tokens=per_frame(tokens)[:, 0, 1:],
            query=query[:, 0, :, 1:].transpose(1, 2).flatten(2),
            key=key[..., 1:, :].transpose(2, 3).flatten(3),
            cls_attn=self._cls_attention(query[:, 0], key[:, 0]))

    @staticmethod
    def _cls_attention(query: Tensor, key: Tensor) -> Tensor:
        """softmax(q k^T / sqrt(d)) of the [CLS] row over the patches.

        Args:
            query, key (Tensor): (B, H, 1 + N, d).

        Returns:
            Tensor: (B, H, N), float32; with [CLS]'s own weight it sums to 1.
        """
        query = query[:, :, :1].float() * query.shape[-1]**-0.5
        with torch.autocast(query.device.type, enabled=False):
            attn = (query @ key.float().mT).softmax(dim=-1)  # (B, H, 1, 1 + N)
        return attn[:, :, 0, 1:]
