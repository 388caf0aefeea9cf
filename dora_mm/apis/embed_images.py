# Letters: M images, S side in pixels, D channels, h, w rows and columns of
# patches.
import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Union

import numpy as np
import torch
from mmcv.transforms import Compose
from mmpretrain.datasets import CenterCrop, ResizeEdge
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from dora_mm.datasets.evaluation.image_source import ImageSource
from dora_mm.evaluation.progress import progress
from dora_mm.models.evaluators.check_image_memory import check_image_memory
from dora_mm.utils.hold_folder import hold_folder
from dora_mm.utils.pixels import RGB_MEAN, RGB_STD
from dora_mm.utils.write_json import write_json

FEATURES = ('cls', 'mean', 'dense')
_SAVE_EVERY = 16  # batches


def embed_images(source: ImageSource,
                 backbone: nn.Module,
                 out_dir: Union[str, Path],
                 feature: str = 'cls',
                 size: int = 224,
                 batch_size: int = 32,
                 num_workers: int = 2,
                 device: str = 'cpu',
                 facts: Optional[Mapping[str, Any]] = None) -> Path:
    """Write the features of images, in batches, so that it can be resumed.

    An image is resized and cropped as for nearest neighbours: short side
    ``size * 256 / 224``, bicubic, central ``size``. It is turned upright
    first, as the file says it is to be shown (EXIF), as
    :class:`DoRAInferencer` does; evaluations read stored pixels. Written are
    ``features.npy``, and ``index.json`` with ``images``, the entries of
    ``source.items`` in the order of the rows, and what made them. Until all
    images are done the rows lie in ``features.part.npy``.

    Args:
        source (ImageSource): The images.
        backbone (nn.Module): Of :meth:`ModelLoader.backbone`.
        out_dir (str | Path): Folder to write to. What it has of the same
            images and settings is kept.
        feature (str): 'cls', the [CLS] token, (M, D); 'mean' of the patch
            tokens, (M, D); or 'dense', all of them, (M, h, w, D), all after
            the final norm, float32. Defaults to 'cls'.
        size (int): Pixels of the side, S. Defaults to 224.
        batch_size (int): Defaults to 32.
        num_workers (int): Processes that read images. Defaults to 2.
        device (str): Of the backbone. Defaults to 'cpu'.
        facts (dict, optional): Plain data about the model, for the index and
            to tell it from another one.

    Returns:
        Path: Of ``features.npy``.

    Raises:
        ValueError: If an option is wrong, the folder has features of
            something else or another process writes there, an image cannot be
            read, or features are not finite. What is done is kept.
    """
    if feature not in FEATURES:
        raise ValueError(f'feature must be one of {", ".join(FEATURES)}, but '
                         f'got {feature}: choose one')
    if batch_size < 1:
        raise ValueError(
            f'batch_size must be at least 1, but got {batch_size}: raise it')
    patch = getattr(backbone, 'patch_size', None)
    if feature != 'cls' and patch is None:
        raise ValueError(f'feature must be cls for a backbone without '
                         f'patches, but got {feature}: choose cls')
    if size < 1 or size % (patch or 1):
        raise ValueError(f'size must be a multiple of {patch} pixels, a '
                         f'patch, but got {size}: change it')
    check_image_memory(size, batch_size, backbone)
    identity = dict(
        facts or {},
        source=str(source.path.resolve()),
        images_sha256=source.digest(),
        feature=feature,
        size=size,
        upright=True)
    with hold_folder('--out-dir', out_dir):
        store = _Store(Path(out_dir), len(source), identity)
        if store.done < len(source):
            backbone.to(device).eval()
            for rows in _features(source, store.done, backbone, feature, size,
                                  batch_size, num_workers, device):
                store.add(rows)
            store.finish(source.items)
    return store.path


class _Images(Dataset):
    """The images from a number on, uint8 (3, S, S)."""

    def __init__(self, source: ImageSource, first: int, size: int) -> None:
        self.source = source
        self.first = first
        self.crop = Compose([
            ResizeEdge(
                size * 256 // 224,
                'short',
                backend='pillow',
                interpolation='bicubic'),
            CenterCrop(size)
        ])

    def __len__(self) -> int:
        return len(self.source) - self.first

    def __getitem__(self, index: int) -> Tensor:
        pixels = self.source.read(self.first + index, upright=True)
        image = self.crop(dict(img=pixels))['img']
        return torch.from_numpy(image.transpose(2, 0, 1).copy())


@torch.no_grad()
def _features(source: ImageSource, first: int, backbone: nn.Module,
              feature: str, size: int, batch_size: int, num_workers: int,
              device: str) -> Iterator[np.ndarray]:
    """Rows of the features, a batch at a time, float32."""
    loader = DataLoader(
        _Images(source, first, size), batch_size, num_workers=num_workers)
    mean, std = (
        torch.tensor(x, device=device).reshape(3, 1, 1)
        for x in (RGB_MEAN, RGB_STD))
    for batch in progress(loader, f'batches of {batch_size} images'):
        tokens = backbone((batch.to(device).float() - mean) / std)[-1]
        if tokens.ndim == 2:  # a descriptor without tokens
            rows = tokens
        elif feature == 'cls':
            rows = tokens[:, 0]
        elif feature == 'mean':
            rows = tokens[:, 1:].mean(1)
        else:
            side = size // backbone.patch_size
            rows = tokens[:, 1:].unflatten(1, (side, side))
        rows = rows.float().cpu().numpy()
        if not np.isfinite(rows).all():
            raise ValueError('features must be finite, but got NaN or '
                             'infinity: check the weights of the backbone')
        yield rows


class _Store:
    """Features on disk, and how many of them are there.

    Args:
        folder (Path): Of the files.
        size (int): M.
        identity (dict): What makes features equal.

    Raises:
        ValueError: If the folder has features of something else.
    """

    def __init__(self, folder: Path, size: int,
                 identity: Dict[str, Any]) -> None:
        self.path = folder / 'features.npy'
        self._part = folder / 'features.part.npy'
        self._index = folder / 'index.json'
        self._state = folder / 'part.json'
        self._identity, self._size = identity, size
        self._rows, self._unsaved = None, 0
        self.done = 0
        for record in (self._index, self._state):
            if record.is_file():
                self._check(record)
        if self._index.is_file() and self.path.is_file():
            self.done = size
        elif self._state.is_file() and self._part.is_file():
            self.done = json.loads(self._state.read_text())['done']
            self._rows = np.load(self._part, mmap_mode='r+')

    def _check(self, record: Path) -> None:
        try:
            found = json.loads(record.read_text())['of']
        except (ValueError, KeyError, TypeError):
            found = {}
        for name in {**found, **self._identity}:
            old, new = found.get(name), self._identity.get(name)
            if old != new:
                raise ValueError(
                    f'--out-dir must have no features of other settings, but '
                    f'{record} has {name} {old} instead of {new}: choose '
                    'another folder')

    def add(self, rows: np.ndarray) -> None:
        """Append the features of a batch."""
        if self._rows is None:
            self._rows = np.lib.format.open_memmap(
                self._part, 'w+', np.float32, (self._size, *rows.shape[1:]))
        self._rows[self.done:self.done + len(rows)] = rows
        self.done += len(rows)
        self._unsaved += 1
        if self._unsaved == _SAVE_EVERY:
            self._save()

    def _save(self) -> None:
        """Note what is done, after it is on the disk."""
        self._rows.flush()
        write_json(self._state, dict(of=self._identity, done=self.done))
        self._unsaved = 0

    def finish(self, items: List[dict]) -> None:
        """Give the files their names, the index last."""
        self._save()
        self._rows = None
        self._part.replace(self.path)
        write_json(self._index, dict(of=self._identity, images=items))
        self._state.unlink()
