"""Arms of an experiment side by side: means, spread, paired differences.

Letters: S seeds, Q sequences.
"""
import math
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np


class ArmDifference(NamedTuple):
    """An arm less a reference.

    Attributes:
        mean (float): Of the differences of the sequences, each of means over
            seeds.
        error (float | None): Standard error of that mean over sequences; None
            of a single one.
        better (int): Sequences on which the arm is better.
        sequences (int): Q.
        seed_std (float | None): Standard deviation over seeds of the mean
            over sequences, pooled over both; None without two seeds of one.
    """
    mean: float
    error: Optional[float]
    better: int
    sequences: int
    seed_std: Optional[float]

    @property
    def verdict(self) -> str:
        """'none' below two standard deviations of the seeds, and at zero."""
        if not math.isfinite(self.mean):
            return 'not known: not a number'
        if self.seed_std is None:
            return 'not known: one seed'
        if not self.mean or abs(self.mean) < 2 * self.seed_std:
            return 'none'
        return 'better' if self.mean > 0 else 'worse'


def compare_arms(arm: np.ndarray, reference: np.ndarray) -> ArmDifference:
    """Compare two arms on the same sequences.

    Args:
        arm (np.ndarray): (S, Q), a value of each seed and sequence; larger is
            better.
        reference (np.ndarray): (S', Q).

    Returns:
        ArmDifference: The arm less the reference.

    Raises:
        ValueError: If the sequences are not as many.
    """
    if arm.ndim != 2 or arm.shape[1:] != reference.shape[1:]:
        raise ValueError(
            'arm and reference must be (seeds, sequences) of the same '
            f'sequences, but got {arm.shape} and {reference.shape}: evaluate '
            'both on the same data')
    gaps = arm.mean(0) - reference.mean(0)
    variances = [
        part.mean(1).var(ddof=1) for part in (arm, reference) if len(part) > 1
    ]
    num = len(gaps)
    return ArmDifference(
        float(gaps.mean()),
        float(gaps.std(ddof=1) / num**0.5) if num > 1 else None,
        int((gaps > 0).sum()), num,
        float(np.mean(variances)**0.5) if variances else None)


def arms_table(title: str, arms: Dict[str, np.ndarray],
               sequences: Sequence[str]) -> str:
    """One metric of all arms as text; the first arm is the reference.

    Args:
        title (str): Of the metric.
        arms (dict[str, np.ndarray]): Name to (S, Q).
        sequences (Sequence[str]): Names of the Q.

    Returns:
        str: A line an arm.
    """
    reference = next(iter(arms))
    rows = [['', 'mean', 'std of seeds', 'seeds', f'less {reference}',
             'error', 'better', 'difference']]  # yapf: disable
    for name, values in arms.items():
        means = values.mean(1)
        spread = _number(means.std(ddof=1) if len(means) > 1 else None)
        row = [name, _number(means.mean()), spread, str(len(means))]
        if name != reference:
            gap = compare_arms(values, arms[reference])
            row += [
                f'{gap.mean:+.2f}',
                _number(gap.error), f'{gap.better} of {gap.sequences}',
                gap.verdict
            ]
        rows.append(row + [''] * (len(rows[0]) - len(row)))
    lines = [f'{title}, over {", ".join(sequences)}']
    return '\n'.join(lines + _align(rows))


def _number(value: Optional[float]) -> str:
    return '-' if value is None else f'{value:.2f}'


def _align(rows: List[List[str]]) -> List[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        '  '.join([row[0].ljust(widths[0])] +
                  [c.rjust(w) for c, w in zip(row[1:], widths[1:])]).rstrip()
        for row in rows
    ]
