import pickle
from collections.abc import Sequence
from typing import Any, Iterable

import numpy as np


class PackedList(Sequence):
    """A list as bytes, which the workers of a loader share.

    Python counts who uses an object inside the object, so that every worker
    would copy a list of objects page by page while it reads it.

    Args:
        items (Iterable): Plain data.
    """

    def __init__(self, items: Iterable[Any]) -> None:
        packed = [pickle.dumps(item, protocol=4) for item in items]
        self._ends = np.cumsum([len(data) for data in packed], dtype=np.int64)
        self._data = np.frombuffer(b''.join(packed), np.uint8)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> Any:
        index = range(len(self))[index]
        begin = int(self._ends[index - 1]) if index else 0
        return pickle.loads(self._data[begin:self._ends[index]])
