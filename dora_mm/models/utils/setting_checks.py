"""Checks of a user's settings; each returns the setting.

Each raises a ValueError that names the setting, its value and what it must
be.
"""
from typing import Sequence, Tuple, Union


def check_prob(name: str, value: float) -> float:
    """A probability, in [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(f'{name} is a probability, in [0, 1], got {value}.')
    return value


def check_per_view(name: str, value: Union[float, Sequence[float]],
                   num: int) -> Tuple[float, ...]:
    """Probabilities of ``num`` views, given as one for all or one each."""
    values = tuple(value) if isinstance(value, Sequence) else (value, ) * num
    if len(values) != num:
        raise ValueError(f'{name} must be one number, or one for each of the '
                         f'{num} views, got {value}.')
    return tuple(check_prob(name, v) for v in values)


def check_range(name: str, value: Sequence[float]) -> Tuple[float, float]:
    """A range of positive numbers (low, high)."""
    if len(value) != 2 or not 0 < value[0] <= value[1]:
        raise ValueError(f'{name} must be (low, high) with 0 < low <= high, '
                         f'got {value}.')
    return tuple(value)


def check_choice(name: str, value: str, choices: Tuple[str, ...]) -> str:
    """One of a few words."""
    if value not in choices:
        raise ValueError(f'{name} must be one of {choices}, got {value!r}.')
    return value
