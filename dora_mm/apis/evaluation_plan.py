"""Which evaluations are run, and with which settings."""
import argparse
from difflib import get_close_matches
from pathlib import Path
from typing import List, Optional, Sequence, Union

from dora_mm.engine.merge_options import merge_options
from dora_mm.evaluation.results_table import EVALUATIONS, Evaluation
from dora_mm.utils.options_action import OptionsAction
from dora_mm.utils.read_config import read_config
from dora_mm.utils.shipped_configs import config_path

_KNOWN = {item.config: item for item in EVALUATIONS}


def plan_evaluations(data: Union[str, Path],
                     only: Optional[Sequence[str]] = None,
                     options: Sequence[str] = (),
                     name: str = '--cfg-options') -> List[Evaluation]:
    """Say what will be evaluated, before anything is.

    Args:
        data (str | Path): Folder of data sets.
        only (Sequence[str], optional): Configs to choose from. Defaults to
            all.
        options (Sequence[str]): ``KEY=VALUE`` for all evaluations, or
            ``CONFIG:KEY=VALUE`` for one.
        name (str): Where the options were given, for messages.

    Returns:
        list[Evaluation]: In the order of the table.

    Raises:
        ValueError: If there is data for none, or not for one of ``only``; or
            an option does not fit an evaluation, or fits none that is run.
    """
    for option in options:
        _check_config(option, name)
    found = _with_data(Path(data), only)
    parser = argparse.ArgumentParser()
    parser.add_argument(name, nargs='*', action=OptionsAction, dest='options')
    # Several numbers may be of one.
    for item in {item.config: item for item in found}.values():
        given = parser.parse_args([name, *options_of(item, options)])
        config = read_config(config_path(f'evaluation/{item.config}'))
        try:
            merge_options(config, given.options)
        except ValueError as error:
            raise ValueError(f'{name} of {item.config}: {error}') from error
    run = {item.config for item in found}
    for option in options:
        config = option.partition(':')[0]
        if config in _KNOWN and config not in run:
            raise ValueError(
                f'{name} must be of evaluations that are run, but got {option}'
                f': these are {", ".join(sorted(run))}')
    return found


def options_of(item: Evaluation, options: Sequence[str]) -> List[str]:
    """Settings of one evaluation.

    Args:
        item (Evaluation): The evaluation.
        options (Sequence[str]): See :func:`plan_evaluations`.

    Returns:
        list[str]: ``KEY=VALUE`` each.
    """
    named = [option.partition(':') for option in options]
    return [
        own if config == item.config else option
        for option, (config, _, own) in zip(options, named)
        if config == item.config or config not in _KNOWN
    ]


def _check_config(option: str, name: str) -> None:
    config, colon, _ = option.partition('=')[0].partition(':')
    if colon and config not in _KNOWN:  # no key has a colon
        near = ', '.join(get_close_matches(config, _KNOWN, 3, 0.))
        raise ValueError(f'{name} must have the name of an evaluation before '
                         f"':', but got {option}: the nearest ones are {near}")


def _with_data(root: Path, only: Optional[Sequence[str]]) -> List[Evaluation]:
    for name in only or ():
        if name not in _KNOWN:
            raise ValueError('--only must be names of evaluations, but got '
                             f'{name}: give some of {", ".join(_KNOWN)}')
    found = []
    for item in EVALUATIONS:
        if only is not None and item.config not in only:
            continue
        paths = [root / item.folder / name for name in ('', *item.needs)]
        missing = [path for path in paths if not path.exists()]
        if missing and only:
            raise ValueError(
                f'--only must be evaluations that there is data for, but got '
                f'{item.config} without {missing[0]}: get it, or leave '
                f'{item.config} out')
        if not missing:
            found.append(item)
    if not found:
        folders = sorted({item.folder for item in EVALUATIONS})
        raise ValueError(f'--data must be a folder of data sets, but got '
                         f'{root} without a known one: put some of '
                         f'{", ".join(folders)} into it')
    return found
