import hashlib
import json
from dataclasses import asdict, dataclass

from .writers import H264Writer, MJPEGWriter

WRITERS = dict(mjpeg=MJPEGWriter, h264=H264Writer)
# Raise it when the same settings would give other files.
_FORMAT = 1


@dataclass(frozen=True)
class PrepareSettings:
    """What decides the content of a prepared video.

    Args:
        encoding (str): ``'mjpeg'``, JPEGs in an mp4, the fastest to read at
            random; or ``'h264'``, a seventh of its size. Defaults to
            ``'mjpeg'``.
        short_side (int): Shorter side of the result in pixels, even; a
            smaller video keeps its size. Defaults to 600, the smallest at
            which no 300-pixel crop of at least a fifth of the area is
            enlarged.
        deface (bool): Blur faces first. Defaults to False.

    Raises:
        ValueError: If a value is out of range.
    """
    encoding: str = 'mjpeg'
    short_side: int = 600
    deface: bool = False

    def __post_init__(self) -> None:
        if self.encoding not in WRITERS:
            raise ValueError(f'encoding must be one of {sorted(WRITERS)}, '
                             f'but got {self.encoding!r}')
        if self.short_side < 16 or self.short_side % 2:
            raise ValueError('short_side must be an even number of at least '
                             f'16 pixels, but got {self.short_side}')

    @property
    def writer(self) -> type:
        """Class that writes the encoding."""
        return WRITERS[self.encoding]

    def to_dict(self) -> dict:
        """All settings, those of the encoder included, for the manifest."""
        return dict(asdict(self), **self.writer.SETTINGS, format=_FORMAT)

    @property
    def digest(self) -> str:
        """Hexadecimal digest of :meth:`to_dict`."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
