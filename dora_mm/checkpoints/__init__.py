"""Checkpoint files: reading them safely, their layouts, converting them."""
from .conversion import convert
from .conversion_report import ConversionReport
from .layouts import sniff
from .publishing import publish
from .run_config import checkpoint_config
from .safe_load import load_trusted

__all__ = [
    'ConversionReport', 'checkpoint_config', 'convert', 'load_trusted',
    'publish', 'sniff'
]
