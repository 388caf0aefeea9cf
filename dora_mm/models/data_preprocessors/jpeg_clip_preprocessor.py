from typing import List

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from dora_mm.registry import MODELS
from dora_mm.utils.resize_box import resize_box
from .clip_view_preprocessor import ClipViewPreprocessor

# Frames that are decoded before they are cropped: 0.8 GB of 4K.
_FRAMES_AT_ONCE = 32


@MODELS.register_module()
class JPEGClipPreprocessor(ClipViewPreprocessor):
    """Decode the clips on the model's device, and cut the views out of them.

    For data workers that are too few to decode: they read the bytes alone
    (:class:`ReadClipJPEGs`). ``collate_fn`` is ``pseudo_collate``, because
    the clips of a batch have different numbers of bytes. On a CPU the pixels
    are those of :class:`LoadClipFromVideo` and
    :class:`ClipRandomResizedCrop`. On CUDA torchvision decodes by nvJPEG,
    whose colours differ a little, and the resized pixels may by one.

    Args:
        **settings: Of :class:`ClipViewPreprocessor`.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Decode, then make the views.

        Args:
            data (dict): See :meth:`decode`.
            training (bool): Without effect.

        Returns:
            dict: See :meth:`ClipViewPreprocessor.forward`.

        Raises:
            TypeError, ValueError, RuntimeError: See :meth:`decode`.
        """
        return super().forward(self.decode(data), training)

    def decode(self, data: dict) -> dict:
        """The batch as the default pipeline would hand it over.

        Args:
            data (dict): ``inputs``: B uint8 tensors on the CPU, the JPEGs of
                a clip one behind the other; ``data_samples``: B samples with
                ``jpeg_sizes``, ``crop_box``, ``crop_size`` and ``seed``. A
                batch of clips that are decoded stays as it is.

        Returns:
            dict: ``inputs``: uint8 RGB (B, T, 3, S, S) on the model's device;
            ``data_samples`` as given.

        Raises:
            TypeError, ValueError: See :meth:`check_batch`.
            RuntimeError: If a JPEG cannot be decoded, naming its video.
        """
        self.check_batch(data)
        inputs, samples = data['inputs'], data.get('data_samples')
        if isinstance(inputs, Tensor):
            return data
        jpegs = [
            list(clip.split(sample.jpeg_sizes))
            for clip, sample in zip(inputs, samples)
        ]
        step = max(1, _FRAMES_AT_ONCE // len(jpegs[0]))
        clips = [
            clip for first in range(0, len(jpegs), step)
            for clip in self._decode_clips(jpegs[first:first + step],
                                           samples[first:first + step])
        ]
        return dict(inputs=torch.stack(clips), data_samples=samples)

    def check_batch(self, data: dict) -> None:
        """Refuse what is neither JPEGs of clips nor a batch of clips.

        Args:
            data (dict): See :meth:`decode`.

        Raises:
            TypeError: If ``inputs`` are neither.
            ValueError: If the shape or device of clips does not fit.
        """
        inputs, samples = data.get('inputs'), data.get('data_samples')
        if isinstance(inputs, Tensor):
            super().check_batch(data)
        elif not isinstance(inputs, (list, tuple)) or not samples or (
                'jpeg_sizes' not in samples[0]):
            raise TypeError(
                'inputs must be the bytes of clips, a tensor each, with data '
                f'samples of PackClipInputs, but got {type(inputs).__name__}: '
                'let the pipeline begin with dora_mm.ReadClipJPEGs, and set '
                "collate_fn=dict(type='pseudo_collate')")

    def _decode_clips(self, jpegs: List[List[Tensor]],
                      samples: list) -> List[Tensor]:
        """Some clips, each uint8 (T, 3, S, S)."""
        try:
            frames = decode_jpeg([jpeg for clip in jpegs for jpeg in clip],
                                 ImageReadMode.RGB,
                                 device=self.device)
        except RuntimeError as error:
            clips = ', '.join(f'{sample.video_path} from frame '
                              f'{sample.start_frame}' for sample in samples)
            raise RuntimeError(
                f'the JPEGs of the clips must be whole, but got one of {clips}'
                f' that cannot be decoded ({error}): prepare the video again'
            ) from error
        found = []
        for clip, sample in zip(jpegs, samples):
            own, frames = frames[:len(clip)], frames[len(clip):]
            found.append(
                resize_box(
                    torch.stack(own), sample.crop_box, sample.crop_size))
        return found
