"""dora_mm: DoRA video pretraining as an OpenMMLab plugin.

Importing it checks the host packages and makes ``_base_ = 'dora_mm::...'``
known to mmengine; models and data sets are imported when a registry first
looks for them.
"""
import sys
import warnings
from pathlib import Path

from .utils.shipped_configs import config_path, register_config_packages
from .utils.stack import (check_host_packages, drop_debug_prints,
                          guard_multimodal)
from .version import __version__


def prepare_hosts() -> None:
    """Check the host packages and register the configs of ours.

    Raises:
        ImportError: A host package is missing or of a wrong version.
    """
    check_host_packages()
    guard_multimodal()
    drop_debug_prints()
    # An operator that mmcv-lite lacks, and nothing of ours uses.
    warnings.filterwarnings('ignore', 'Fail to import ``MultiScaleDeform')
    register_config_packages()


def _starts_program() -> bool:
    """Whether this is ``dora-mm`` or ``python -m dora_mm...``.

    They prepare later: the report of the environment must come where the check
    fails, and the others end with a sentence instead of a traceback.
    """
    if sys.argv and Path(sys.argv[0]).name == 'dora-mm':
        return True
    words = sys.orig_argv
    # While Python looks for the module, this is all that argv holds.
    if sys.argv[:1] != ['-m'] or '-m' not in words[:-1]:
        return False
    return words[words.index('-m') + 1].split('.')[0] == 'dora_mm'


if not _starts_program():
    prepare_hosts()

__all__ = ['__version__', 'config_path']
