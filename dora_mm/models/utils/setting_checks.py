"""Checks of a user's settings; each returns the setting.

Each raises a ValueError that names the setting, what it must be and the value
received.
"""
from difflib import SequenceMatcher
from numbers import Real
from typing import Any, Collection, Iterable, Sequence, Tuple, Union


def _are_numbers(values: Iterable[Any]) -> bool:
    """Whether all are real numbers, which a string or None is not."""
    return all(isinstance(value, Real) for value in values)


def check_integer(name: str, value: int, least: int) -> int:
    """A whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f'{name} must be an integer of at least {least}, but '
                         f'got {value!r}')
    return value


def check_prob(name: str, value: float) -> float:
    """A probability, in [0, 1]."""
    if not _are_numbers([value]) or not 0 <= value <= 1:
        raise ValueError(
            f'{name} must be a probability in [0, 1], but got {value!r}')
    return value


def check_per_view(name: str, value: Union[float, Sequence[float]],
                   num: int) -> Tuple[float, ...]:
    """Probabilities of ``num`` views, given as one for all or one each."""
    values = (value, ) * num if isinstance(value, Real) else value
    if not isinstance(values, (list, tuple)) or len(values) != num:
        raise ValueError(f'{name} must be one number, or one for each of the '
                         f'{num} views, but got {value!r}')
    return tuple(check_prob(name, v) for v in values)


def check_range(name: str, value: Sequence[float]) -> Tuple[float, float]:
    """A range of positive numbers (low, high)."""
    if not isinstance(value, (list, tuple)) or len(value) != 2 or (
            not _are_numbers(value)) or not 0 < value[0] <= value[1]:
        raise ValueError(f'{name} must be (low, high) with 0 < low <= high, '
                         f'but got {value!r}')
    return tuple(value)


def check_choice(name: str, value: str, choices: Tuple[str, ...]) -> str:
    """One of a few words."""
    if value not in choices:
        raise ValueError(
            f'{name} must be one of {choices}, but got {value!r}')
    return value


def check_keys(owner: str, given: Iterable[str],
               known: Collection[str]) -> None:
    """Refuse a setting that ``owner`` does not know.

    Args:
        owner (str): What is set up, for the message.
        given (Iterable[str]): Dotted names, such as ``local_views.num``.
        known (Collection[str]): All dotted names that there are.

    Raises:
        ValueError: If one of ``given`` is not among ``known``. The message
            has the known name that is made of the most similar words.
    """

    def words(name: str) -> str:
        return ' '.join(sorted(name.replace('.', '_').split('_')))

    for name in given:
        if name not in known:
            nearest = max(
                sorted(known),
                key=lambda other: SequenceMatcher(None, words(name),
                                                  words(other)).ratio())
            raise ValueError(f'{name} must be a setting of {owner}, but it '
                             f'has none of that name: did you mean {nearest}')
