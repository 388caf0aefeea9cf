# Letters: T frames, K objects, H heads, h, w rows and columns of patches, D
# channels.
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmengine.device import get_device
from torch import Tensor

from dora_mm.datasets.evaluation.image_source import ImageSource
from dora_mm.datasets.evaluation.read_image import IMAGE_EXTENSIONS, read_image
from dora_mm.models import ModelLoader
from dora_mm.models.evaluators.check_image_memory import check_image_memory
from dora_mm.utils.pixels import RGB_MEAN, RGB_STD, resize_frames
from dora_mm.visualization.clip_tracks import read_clips

_MEAN = torch.tensor(RGB_MEAN).reshape(3, 1, 1)
_STD = torch.tensor(RGB_STD).reshape(3, 1, 1)

Input = Union[str, Path, np.ndarray]
Result = Dict[str, np.ndarray]


class DoRAInferencer:
    """What a backbone makes of an image or a video.

    Example: ``DoRAInferencer('iter_N.pth')('walk.mp4')['attention']``

    Args:
        source (str | Path): A checkpoint of any layout, or a config file for
            random weights; see :class:`ModelLoader`. Objects are tracked with
            a DoRA run's checkpoint or config only.
        key (str): 'teacher' or 'student', of the features; the teacher
            tracks. Defaults to 'teacher'.
        size (int): Pixels of the short side that frames are resized to; the
            long side keeps the proportion, to a multiple of the patch.
            Defaults to 224.
        batch_size (int): Frames that go through the backbone at a time.
            Defaults to 8.
        config (str | Path, optional): Config file of the run, where the
            checkpoint holds none.
        trust (bool): Whether to run code that a pickled checkpoint names.
            Defaults to False.
        device (str, optional): Defaults to an accelerator, if there is one.
        channel_order (str): Of arrays: 'bgr', as OpenCV, mmcv and the
            inferencers of OpenMMLab have it, or 'rgb'. Defaults to 'bgr'.
        **kwargs: Further arguments of :meth:`ModelLoader.backbone`.

    Raises:
        ValueError: If the source is missing, unsafe, unknown or incomplete,
            ``size`` is less than a patch or more than fits into memory,
            ``batch_size`` less than 1, or ``channel_order`` not known.
    """

    def __init__(self,
                 source: Union[str, Path],
                 key: str = 'teacher',
                 size: int = 224,
                 batch_size: int = 8,
                 config: Optional[Union[str, Path]] = None,
                 trust: bool = False,
                 device: Optional[str] = None,
                 channel_order: str = 'bgr',
                 **kwargs: Any) -> None:
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, but got '
                             f'{batch_size}: raise it')
        if channel_order not in ('bgr', 'rgb'):
            raise ValueError(f'channel_order must be bgr or rgb, but got '
                             f'{channel_order}: choose that of the arrays')
        loader = ModelLoader(source, config, trust)
        self.backbone = loader.backbone(key, **kwargs)
        if not hasattr(self.backbone, 'forward_track'):
            raise ValueError('source must be a ViT, but got '
                             f'{str(source)!r}: only a ViT has attention to '
                             'look at')
        self.device = device or get_device()
        self.backbone.to(self.device)
        if size < self.backbone.patch_size:
            raise ValueError(
                f'size must be at least {self.backbone.patch_size} pixels, a '
                f'patch, but got {size}: raise it')
        check_image_memory(size, batch_size, self.backbone)
        self.size = size
        self.batch_size = batch_size
        self.channel_order = channel_order
        self.tracker = None  # a backbone alone, or DINO
        if loader.tracks:
            self.tracker = loader.tracker().to(self.device)

    def __call__(self,
                 inputs: Union[Input, Sequence[Input]],
                 num_frames: int = 8,
                 interval: float = 1.,
                 start: float = 0.,
                 seed: int = 0) -> Union[Result, List[Result]]:
        """Look at images, or at some frames of a video.

        Args:
            inputs (str | Path | np.ndarray | list): An image file, a video
                file, or pixels, uint8 (H, W, 3) or (T, H, W, 3), in the order
                of ``channel_order``; a folder, with all images below it; or
                a list of such inputs.
            num_frames (int): T, of a video file. Defaults to 8.
            interval (float): Seconds between them. Defaults to 1.
            start (float): Second of the first one. Defaults to 0.
            seed (int): Of the draw of the heads that discover objects.
                Defaults to 0.

        Returns:
            dict[str, np.ndarray]: Of a folder or a list, one for each entry.
            ``frames``, uint8 (T, size, size', 3), RGB, as the model sees
            them; ``cls`` (T, D) and ``patches`` (T, h, w, D)
            after the final norm; ``attention`` (T, H, h, w), the [CLS] row of
            the last layer; and with a DoRA model ``tracks`` (T, K, h, w),
            which sum to 1 over a frame, ``masks`` (T, K, h, w), what the
            student would see, and ``heads`` (K,). Floats are float32.

        Raises:
            ValueError: If there is no such file, or pixels or numbers of
                frames do not fit.
        """
        options = (num_frames, interval, start, seed)
        if isinstance(inputs, (list, tuple)):
            return [self(entry, *options) for entry in inputs]
        if isinstance(inputs, (str, Path)) and Path(inputs).is_dir():
            images = ImageSource(inputs).items
            return [self(Path(inputs, i['name']), *options) for i in images]
        frames = self._resize(self._read(inputs, num_frames, interval, start))
        images = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
        images = ((images - _MEAN) / _STD).to(self.device)
        patch = self.backbone.patch_size
        grid = (frames.shape[1] // patch, frames.shape[2] // patch)
        result = dict(frames=frames, **self._features(images, grid))
        if self.tracker is not None:
            result.update(self._tracks(images, grid, seed))
        return result

    def _read(self, inputs: Input, num_frames: int, interval: float,
              start: float) -> np.ndarray:
        """Frames, uint8 (T, H, W, 3), RGB."""
        if isinstance(inputs, np.ndarray):
            frames = inputs[None] if inputs.ndim == 3 else inputs
            if frames.dtype != np.uint8 or frames.ndim != 4 \
                    or frames.shape[-1] != 3:
                raise ValueError(
                    'pixels must be uint8 (H, W, 3) or (T, H, W, 3), but got '
                    f'{inputs.dtype} {inputs.shape}: convert them')
            return frames[..., ::-1] if self.channel_order == 'bgr' else frames
        if not isinstance(inputs, (str, Path)) or not Path(inputs).is_file():
            raise ValueError(
                'inputs must be an image, a video or an array, but '
                f'{inputs} is not a file: check the path')
        if Path(inputs).suffix.lower() in IMAGE_EXTENSIONS:
            return read_image(inputs, upright=True)[None]
        clip, = read_clips(
            inputs,
            1,
            start,
            num_frames,
            interval,
            square=False,
            shorter='lower --num-frames (num_frames), --interval (interval) '
            'or --start (start)')
        return clip.frames

    def _resize(self, frames: np.ndarray) -> np.ndarray:
        patch = self.backbone.patch_size
        scale = self.size / min(frames.shape[1:3])
        height, width = (
            max(round(side * scale / patch), 1) * patch
            for side in frames.shape[1:3])
        return resize_frames(frames, (height, width))

    @torch.no_grad()
    def _features(self, images: Tensor,
                  grid: Tuple[int, int]) -> Dict[str, np.ndarray]:
        parts = [
            # every frame as the first frame of its own clip
            self.backbone.forward_track(part[:, None], -1, 'final')
            for part in images.split(self.batch_size)
        ]

        def join(name: str) -> Tensor:
            return torch.cat([getattr(part, name) for part in parts]).cpu()

        return dict(
            cls=join('cls_token')[:, 0].numpy(),
            patches=join('patch_tokens').unflatten(1, grid).numpy(),
            attention=join('cls_attn').unflatten(2, grid).numpy())

    def _tracks(self, images: Tensor, grid: Tuple[int, int],
                seed: int) -> Dict[str, np.ndarray]:
        self.tracker.seed_step(seed)
        found = self.tracker.track(images[None], batch_frames=self.batch_size)
        return dict(
            tracks=found['track_attn'][0].unflatten(2, grid).cpu().numpy(),
            masks=found['object_masks'][0].cpu().numpy(),
            heads=found['heads'][0].cpu().numpy())
