"""dora_mm: DoRA video pretraining as an OpenMMLab plugin.

Importing it checks the host packages and makes ``_base_ = 'dora_mm::...'``
known to mmengine; models and data sets are imported when a registry first
looks for them.
"""
from .utils.shipped_configs import config_path, register_config_packages
from .utils.stack import check_host_packages, guard_multimodal
from .version import __version__

check_host_packages()
guard_multimodal()
register_config_packages()

__all__ = ['__version__', 'config_path']
