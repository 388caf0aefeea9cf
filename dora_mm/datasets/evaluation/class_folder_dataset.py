import tarfile
from pathlib import Path
from typing import List

from mmengine.dataset import BaseDataset

from dora_mm.registry import DATASETS

_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')


@DATASETS.register_module()
class ClassFolderDataset(BaseDataset):
    """Images in one folder for each class, or the same in a tar file.

    ImageNet's usual layout, ``ROOT/train/n01440764/x.JPEG``. Classes are
    numbered in the order of their names. An uncompressed tar file is read in
    place; a first folder that all its members share is passed over.

    Args:
        root (str): The folder, or a ``.tar`` file.
        split (str): Folder inside it, such as 'train'.
        pipeline (list): Transforms; the first gets ``img_bytes``, the
            encoded image, ``gt_label`` and ``sample_idx``.

    Raises:
        ValueError: If there are no images, or the tar file is compressed.
    """

    def __init__(self, root: str, split: str, pipeline: List[dict]) -> None:
        self.root = Path(root)
        self.split = split
        super().__init__(pipeline=pipeline)

    def load_data_list(self) -> List[dict]:
        """Find the images.

        Returns:
            list[dict]: ``path``, ``offset`` and ``size`` (bytes; -1 for the
            whole file) and ``gt_label``.
        """
        if self.root.is_file():
            found = self._in_tar()
        else:
            found = [(path.parent.name,
                      dict(path=str(path), offset=0, size=-1))
                     for path in sorted((self.root / self.split).glob('*/*'))
                     if path.suffix.lower() in _EXTENSIONS]
        if not found:
            raise ValueError(
                f'no images {self.split}/CLASS/*.jpg in {self.root}: check '
                f'root and split={self.split!r}')
        classes = sorted({name for name, _ in found})
        self._metainfo['classes'] = tuple(classes)
        number = {name: i for i, name in enumerate(classes)}
        return [dict(item, gt_label=number[name]) for name, item in found]

    def _in_tar(self):
        try:
            archive = tarfile.open(self.root, 'r:')
        except tarfile.ReadError as error:
            raise ValueError(f'{self.root} is no uncompressed tar file: '
                             'unpack it and give the folder') from error
        with archive:
            members = [m for m in archive if m.isfile()]
        found = []
        for member in sorted(members, key=lambda m: m.name):
            parts = Path(member.name).parts
            if len(parts) >= 3 and parts[-3] == self.split \
                    and Path(member.name).suffix.lower() in _EXTENSIONS:
                found.append((parts[-2],
                              dict(
                                  path=str(self.root),
                                  offset=member.offset_data,
                                  size=member.size)))
        return found

    def get_data_info(self, idx: int) -> dict:
        """One image, still encoded.

        Args:
            idx (int): Number of the image.

        Returns:
            dict: ``img_bytes``, ``img_path``, ``gt_label``, ``sample_idx``.
        """
        info = super().get_data_info(idx)
        with open(info['path'], 'rb') as file:
            file.seek(info['offset'])
            data = file.read(info['size'])
        return dict(
            img_bytes=data,
            img_path=info['path'],
            gt_label=info['gt_label'],
            sample_idx=info['sample_idx'])

    def prepare_data(self, idx: int):
        """One image through the pipeline.

        Args:
            idx (int): Number of the image.

        Returns:
            dict: What the pipeline makes of it.
        """
        return self.pipeline(self.get_data_info(idx))
