from typing import Any, Mapping, Optional, Sequence

from mmengine.config import Config

from .check_keys import check_keys
from .check_values import check_values


def merge_options(cfg: Config,
                  options: Optional[Mapping[str, Any]],
                  unused: Sequence[str] = ()) -> None:
    """Merge ``--cfg-options`` into a config, and refuse what cannot work.

    Args:
        cfg (Config): Changed in place.
        options (dict, optional): From dotted keys to values.
        unused (Sequence[str]): Sections of which nothing is built, whose
            values may be anything.

    Raises:
        ValueError: A key that nothing reads, or a value of another kind than
            what reads it, in the options or in the config.
    """
    check_keys(cfg, options)
    options = dict(options or {})
    try:
        cfg.merge_from_dict(options)
    except (AttributeError, LookupError, TypeError) as error:
        given = ' '.join(f'{key}={value}' for key, value in options.items())
        raise ValueError(
            '--cfg-options must fit what the config has there, but got '
            f'{given}: give a list as a whole, or settings of the dicts in it'
        ) from error
    if options:  # some are of dicts that were not there
        check_keys(cfg, None)
    check_values(cfg, unused)
