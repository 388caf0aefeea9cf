"""Types of command line options that are numbers in a range.

argparse names the option in front of the message.
"""
import math
from argparse import ArgumentTypeError
from typing import Callable


def integer(least: int) -> Callable[[str], int]:
    """A whole number of at least ``least``.

    Args:
        least (int): The smallest.

    Returns:
        Callable: From a word to the number; raises an ArgumentTypeError that
        says what it must be and what it got.
    """

    def read(word: str) -> int:
        try:
            number = int(word)
        except ValueError:
            number = least - 1
        if number < least:
            raise ArgumentTypeError(f'it must be an integer of at least '
                                    f'{least}, but got {word}')
        return number

    return read


def positive(word: str) -> float:
    """A finite number above 0; raises as :func:`integer` does."""
    return _finite(word, 'above 0', lambda number: number > 0)


def not_negative(word: str) -> float:
    """A finite number of at least 0; raises as :func:`integer` does."""
    return _finite(word, 'of at least 0', lambda number: number >= 0)


def _finite(word: str, wanted: str, fits: Callable[[float], bool]) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or not fits(number):
        raise ArgumentTypeError(
            f'it must be a number {wanted}, but got {word}')
    return number
