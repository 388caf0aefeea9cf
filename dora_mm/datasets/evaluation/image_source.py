import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
from mmengine.logging import print_log

from dora_mm.utils.counted import counted
from dora_mm.video.readers import build_reader
from dora_mm.video.video_files import VIDEO_EXTENSIONS
from .packed_list import PackedList
from .read_image import (IMAGE_EXTENSIONS, decode_image, files_below,
                         is_hidden, read_bytes)
from .tar_members import tar_members

Item = Dict[str, Any]
Place = Tuple[Path, int, int]  # file, first byte, bytes (-1: all)


class ImageSource:
    """Images by number, wherever they lie.

    Args:
        source (str | Path): An image; a folder, with all images below it; an
            uncompressed tar file; a list (``.txt``), one path a line; a COCO
            file (``.json``); or a video, of which frames are taken.
        root (str | Path, optional): Folder that the paths of a list or COCO
            file start from. Defaults to that of the file.
        interval (float): Seconds between the frames of a video: those
            that are shown then, each once. Defaults to 1.

    Attributes:
        items (list[dict]): For each image its ``name``; of a COCO file the
            ``id`` as well, of a video ``frame`` and ``seconds``, the time
            of the frame from the first one on.

    Raises:
        ValueError: If there is no such file, it holds no image, or an image
            that it names is missing.
    """

    def __init__(self,
                 source: Union[str, Path],
                 root: Optional[Union[str, Path]] = None,
                 interval: float = 1.) -> None:
        self.path = Path(source)
        self.root = Path(root) if root is not None else self.path.parent
        self.items: Sequence[Item] = []
        self._places: Sequence[Place] = []
        self._reader = None
        kind = self.path.suffix.lower()
        if not self.path.exists():
            raise ValueError(f'source must be a file or a folder, but got '
                             f'{source}, which does not exist: check the path')
        if self.path.is_dir():
            self._find_in_folder()
        elif kind in VIDEO_EXTENSIONS:
            self._find_in_video(interval)
        elif kind == '.tar':
            self._find_in_tar()
        elif kind == '.json':
            self._find_in_coco()
        elif kind == '.txt':
            self._find_in_list()
        elif kind in IMAGE_EXTENSIONS:
            self._add(dict(name=self.path.name), self.path)
        else:
            raise ValueError(
                'source must be an image, a folder, a .tar, a list (.txt), a '
                f'COCO file (.json) or a video, but got {source}: give one of '
                'these')
        if not self.items:
            raise ValueError(f'source must hold images, but got {source}, '
                             f'which has none ({", ".join(IMAGE_EXTENSIONS)}):'
                             ' check the path')

    def __len__(self) -> int:
        return len(self.items)

    def digest(self) -> str:
        """What the images are: 64 hexadecimal digits.

        Another name, order, size or time of change of a file gives others.
        """
        files = dict.fromkeys(path for path, *_ in self._places)
        states = [path.stat() for path in files]
        facts = [[*self.items],
                 [[state.st_size, state.st_mtime_ns] for state in states]]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def pack(self) -> None:
        """Let the workers of a loader share what is known of the images."""
        self.items = PackedList(self.items)
        self._places = PackedList(self._places)

    def read(self, index: int, upright: bool = False) -> np.ndarray:
        """Pixels of an image.

        Args:
            index (int): Its number.
            upright (bool): Whether to turn it as the file says it is to be
                shown; never where there are labels. Defaults to False.

        Returns:
            np.ndarray: uint8 (h, w, 3), RGB.

        Raises:
            ValueError: If it cannot be read; the image is named.
        """
        item = self.items[index]
        if 'frame' in item:
            # Opened where it is read: by each worker of a loader.
            self._reader = self._reader or build_reader(str(self.path))
            return self._reader.get_frames([item['frame']])[0]
        path, offset, size = self._places[index]
        if size < 0:
            return decode_image(read_bytes(path), path, upright)
        with open(path, 'rb') as file:
            file.seek(offset)
            return decode_image(
                file.read(size), f'{path}/{item["name"]}', upright)

    def _add(self,
             item: Item,
             path: Path,
             place: Tuple[int, int] = (0, -1)) -> None:
        self.items.append(item)
        self._places.append((path, *place))

    def _find_in_folder(self) -> None:
        others = []
        for path in files_below(self.path):
            name = path.relative_to(self.path).as_posix()
            if path.suffix.lower() in IMAGE_EXTENSIONS:
                self._add(dict(name=name), path)
            else:
                others.append(name)
        self._say_passed_over(others)

    def _find_in_tar(self) -> None:
        # of a name that was added twice the later one counts
        members = {Path(item.name): item for item in tar_members(self.path)}
        others = []
        for name, member in members.items():
            if any(map(is_hidden, name.parts)):
                continue
            if name.suffix.lower() not in IMAGE_EXTENSIONS:
                others.append(member.name)
                continue
            if not member.isreg() or member.issparse():
                raise ValueError(
                    f'{self.path} must hold its images themselves, but '
                    f'{member.name} is a link or has holes: unpack it and '
                    'give the folder')
            self._add(
                dict(name=member.name), self.path,
                (member.offset_data, member.size))
        self._say_passed_over(others)

    def _say_passed_over(self, others: List[str]) -> None:
        if others:
            print_log(
                f'{self.path}: {counted(len(others), "file")} passed over, no '
                f'image by its name, such as {min(others)}',
                logger='current',
                level=logging.WARNING)

    def _find_in_list(self) -> None:
        text = read_bytes(self.path).decode('utf-8-sig', 'surrogateescape')
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                self._add_named(dict(name=line.strip()), f'line {number}')

    def _find_in_coco(self) -> None:
        try:
            images = json.loads(read_bytes(self.path))['images']
            items = [
                dict(name=os.fspath(image['file_name']), id=image['id'])
                for image in images
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'source must be a COCO file with file_name and id of every '
                f'image, but got {self.path}: {error!r}') from error
        for item in items:
            self._add_named(item, f'image {item["id"]}')

    def _add_named(self, item: Item, where: str) -> None:
        path = self.root / item['name']
        if not path.is_file():
            raise ValueError(f'{where} of {self.path} must be an image, but '
                             f'got {path}, which is no file: check it, or the '
                             'folder that paths start from (--root)')
        self._add(item, path)

    def _find_in_video(self, interval: float) -> None:
        reader = build_reader(str(self.path))
        try:
            if not interval * reader.fps >= 1:
                raise ValueError(
                    'interval must be at least a frame of the video, '
                    f'{1 / reader.fps:.4g} s, but got {interval}: raise it')
            index = reader.index
            # A frame that is shown for long is one image.
            frames = np.unique(index.shown_every(interval))
            seconds = index.seconds_of(frames).tolist()
            for frame, second in zip(frames.tolist(), seconds):
                self._add(
                    dict(name=self.path.name, frame=frame, seconds=second),
                    self.path)
        finally:
            reader.close()
