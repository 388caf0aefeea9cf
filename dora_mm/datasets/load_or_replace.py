import logging
from typing import Callable, Type

from mmengine.logging import print_log

from dora_mm.utils.counted import counted
from .mix_seed import mix_seed

# Keeps the draw of another clip apart from all else drawn from the seed.
_REPLACEMENT = 0x5EB1ACE


def load_or_replace(load: Callable[[int, int], dict], index: int, seed: int,
                    length: int, max_replacements: int,
                    error_type: Type[Exception], remedy: str) -> dict:
    """Load a sample, or others in its place while they cannot be decoded.

    Args:
        load (callable): From the index of a sample and the number of those
            that failed to the sample.
        index (int): Of the first.
        seed (int): Of the first; the others follow from it.
        length (int): Number of samples.
        max_replacements (int): Most samples to try in its place.
        error_type (type): What ``load`` raises for a sample that cannot be
            decoded.
        remedy (str): What the user can do when all fail.

    Returns:
        dict: Of the first that loads.

    Raises:
        RuntimeError: If all fail.
    """
    failures = []
    for attempt in range(max_replacements + 1):
        try:
            return load(index, attempt)
        except error_type as error:
            failures.append(str(error))
            print_log(
                f'Clip {index} is replaced by another one: {error}',
                logger='current',
                level=logging.WARNING)
        index = mix_seed(seed, _REPLACEMENT, attempt) % length
    raise RuntimeError(
        f'{counted(len(failures), "clip")} in a row cannot be decoded, more '
        f'than max_replacements={max_replacements}. {remedy}:\n' +
        '\n'.join(dict.fromkeys(failures)))
