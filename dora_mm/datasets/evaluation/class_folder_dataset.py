import logging
import os
from pathlib import Path
from typing import Dict, List, Tuple, Union

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from dora_mm.registry import DATASETS
from dora_mm.utils.counted import counted
from .read_image import IMAGE_EXTENSIONS, is_hidden
from .tar_members import tar_members

# split -> class -> where its images are
Splits = Dict[str, Dict[str, List[dict]]]


@DATASETS.register_module()
class ClassFolderDataset(BaseDataset):
    """Images in one folder for each class, or the same in a tar file.

    ImageNet's usual layout, ``ROOT/train/n01440764/x.JPEG``. Classes are
    numbered in the order of their names, over all splits that ``ROOT`` has,
    so a number means the same class in each of them. An uncompressed tar file
    is read in place, its splits may lie in a folder. Hidden files and folders
    are skipped.

    Args:
        root (str): The folder, or a ``.tar`` file.
        split (str): Folder inside it, such as 'train'.
        pipeline (list): Transforms; the first gets ``img_bytes``, the
            encoded image, ``gt_label`` and ``sample_idx``.

    Raises:
        ValueError: If there are no images of this split, or the tar file is
            compressed or not whole.
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
        find = _splits_of_tar if self.root.is_file() else _splits_of_folder
        splits, passed_over = find(self.root, self.split)
        if self.split not in splits:
            raise ValueError(
                f'split must be one of {sorted(splits)}, but got one with no '
                f'images {self.split}/CLASS/* in {self.root}: check root and '
                f'split={self.split!r}')
        mine = splits[self.split]
        classes = sorted(set().union(*splits.values()))
        lacking = sorted(set(classes) - set(mine))
        if lacking:
            self._say(f'has no images of {len(lacking)} of {len(classes)} '
                      f'classes that other splits have, such as {lacking[0]}')
        if passed_over:
            self._say(f'{counted(len(passed_over), "entry")} passed over, no '
                      f'SPLIT/CLASS/IMAGE, such as {min(passed_over)}')
        self._metainfo['classes'] = tuple(classes)
        return [
            dict(item, gt_label=number) for number, name in enumerate(classes)
            for item in mine.get(name, ())
        ]

    def _say(self, sentence: str) -> None:
        print_log(
            f'{self.root}, split {self.split!r}: {sentence}',
            logger='current',
            level=logging.WARNING)

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
            img_path=info['name'],
            gt_label=info['gt_label'],
            sample_idx=info['sample_idx'])

    def prepare_data(self, idx: int) -> dict:
        """One image through the pipeline.

        Args:
            idx (int): Number of the image.

        Returns:
            dict: What the pipeline makes of it.
        """
        return self.pipeline(self.get_data_info(idx))


def _splits_of_folder(root: Path, split: str) -> Tuple[Splits, List[str]]:
    """Images of ``split``, and of the others one of each class."""
    splits: Splits = {}
    passed_over = []
    folders = {split: root / split}
    # a split may lie deeper, as 'Data/CLS-LOC/train' does
    for entry in _entries(root / Path(split).parent):
        if entry.name != Path(split).name:
            folders[entry.name] = entry.path
    for name, folder in folders.items():
        for class_entry in _entries(folder):
            images = []
            for entry in _entries(class_entry.path):
                if _is_image(entry.name) and entry.is_file():
                    images.append(dict(path=entry.path, name=entry.path,
                                       offset=0, size=-1))  # yapf: disable
                    if name != split:
                        break
                elif name == split:
                    passed_over.append(entry.path)
            if images:
                images.sort(key=lambda item: item['path'])
                splits.setdefault(name, {})[class_entry.name] = images
            elif name == split:
                passed_over.append(class_entry.path)
    return splits, passed_over


def _entries(folder: Union[str, Path]) -> List[os.DirEntry]:
    """Of a folder, without the hidden ones; none if it is none."""
    if not os.path.isdir(folder):
        return []
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not is_hidden(entry.name)]


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS


def _splits_of_tar(root: Path, split: str) -> Tuple[Splits, List[str]]:
    """All images."""
    # of a name that was added twice the later one counts, as when unpacking
    members = {
        tuple(
            part for part in member.name.split('/') if part not in ('', '.')):
        member
        for member in tar_members(root)
    }
    found = {
        parts: member
        for parts, member in members.items() if not any(map(is_hidden, parts))
    }
    images = [parts for parts in found if _is_image(parts[-1])]
    wanted = [parts for parts in images if parts[-3:-2] == (split, )]
    first = min((parts[:-3] for parts in wanted or images), default=())
    splits: Splits = {}
    passed_over = []
    for parts in sorted(found):
        member = found[parts]
        if parts[:-3] != first or len(parts) < 3 or not _is_image(parts[-1]):
            passed_over.append(member.name)
            continue
        if not member.isreg() or member.issparse():
            raise ValueError(f'{root} must hold its images themselves, but '
                             f'{member.name} is a link or has holes: unpack '
                             'it and give the folder')
        item = dict(
            path=str(root),
            name=f'{root}/{member.name}',
            offset=member.offset_data,
            size=member.size)
        classes = splits.setdefault(parts[-3], {})
        classes.setdefault(parts[-2], []).append(item)
    return splits, passed_over
