from pathlib import Path
from typing import Union

from mmengine.fileio import LocalBackend, register_backend

from dora_mm.utils.atomic_file import atomic_file


@register_backend('dora_mm.atomic')
class AtomicLocalBackend(LocalBackend):
    """Local files that are either old or new, never half written.

    mmengine writes checkpoints straight into place, so a run killed while it
    saves leaves a truncated file that ``--resume`` then trips over. Used by
    ``CheckpointHook(backend_args=dict(backend='dora_mm.atomic'))``.
    """

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        """Write bytes to a temporary neighbour, sync it, move it in place.

        Args:
            obj (bytes): The content.
            filepath (str | Path): Where it goes; folders are made.

        Raises:
            OSError: If it cannot be written, a full disk say. The file that
                was there before is then still there.
        """
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.temporary.write_bytes(obj)

    def put_text(self,
                 obj: str,
                 filepath: Union[str, Path],
                 encoding: str = 'utf-8') -> None:
        """As :meth:`put`, for text."""
        self.put(obj.encode(encoding), filepath)
