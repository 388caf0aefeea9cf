from dataclasses import dataclass
from pathlib import Path
from typing import List, Tuple

from dora_mm.utils.counted import counted


@dataclass
class ConversionReport:
    """What :func:`convert` or :func:`publish` did.

    Attributes:
        source_layout (str): What :func:`sniff` said.
        target_layout (str): The layout written.
        path (Path): The file written.
        rows (list[tuple]): For every tensor written (source key, target key,
            shape).
        dropped (list[str]): Entries of the source that were left behind.
        error (float): Largest relative difference between a forward pass of
            the source backbone and of the written one; 0 if none was run.
    """
    source_layout: str
    target_layout: str
    path: Path
    rows: List[Tuple]
    dropped: List[str]
    error: float

    def __str__(self) -> str:
        width = max(len(source) for source, _, _ in self.rows)
        lines = [f'source layout: {self.source_layout}']
        lines += [
            f'{source:<{width}} -> {target} {shape}'
            for source, target, shape in self.rows
        ]
        lines += [f'dropped: {name}' for name in self.dropped]
        return '\n'.join(lines + [self.summary])

    @property
    def summary(self) -> str:
        """The last line of the report: how much, and how exactly."""
        return (f'{counted(len(self.rows), "tensor")} written as '
                f'{self.target_layout}, {counted(len(self.dropped), "entry")} '
                f'dropped; forward pass agrees to {self.error:.1e}')
