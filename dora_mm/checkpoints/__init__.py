"""Checkpoint files: reading them safely, their layouts, converting them."""
from .convert import ConversionReport, convert, publish
from .layouts import sniff
from .run_config import checkpoint_config
from .safe_load import load_trusted

__all__ = [
    'ConversionReport', 'checkpoint_config', 'convert', 'load_trusted',
    'publish', 'sniff'
]
