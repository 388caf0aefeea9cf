"""Report the environment: ``python -m dora_mm.utils.collect_env``."""
import argparse
import platform
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from dora_mm.version import __version__
from .stack import (HOST_PACKAGES, HostPackage, check_host_package, find_dist,
                    multimodal_is_broken, stack_flavour)

OPTIONAL_DISTS = {
    'torchvision': ('torchvision', ),
    'mmseg': ('onedl-mmsegmentation', 'mmsegmentation'),
    'mmdet': ('onedl-mmdetection', 'mmdet'),
    'numpy': ('numpy', ),
    'transformers': ('transformers', ),
    'tensorboard': ('tensorboard', ),
}
READER_DISTS = {
    'decord': ('decord', ),
    'PyAV': ('av', ),
    'simplejpeg': ('simplejpeg', ),
    'OpenCV': ('opencv-python', 'opencv-python-headless',
               'opencv-contrib-python', 'opencv-contrib-python-headless'),
}


def describe_dist(dists: Tuple[str, ...]) -> str:
    """Give version and distribution name, or 'not installed'."""
    found = find_dist(dists)
    return 'not installed' if found is None else f'{found[1]} ({found[0]})'


def describe_host(package: HostPackage) -> str:
    """Give version and distribution name, and what to run if it is wrong."""
    found = describe_dist(package.dists)
    try:
        check_host_package(package)
    except Exception as error:  # a broken package raises anything
        return f'{found}: {error}'
    return found


def has_mmcv_ops() -> bool:
    """Whether mmcv's compiled ops lie beside its modules.

    mmcv itself is not imported: that fails where OpenCV's libraries are
    missing, which is when this report is needed.
    """
    spec = find_spec('mmcv')
    return spec is not None and any(
        any(Path(folder).glob('_ext.*'))
        for folder in spec.submodule_search_locations)


def describe_device() -> str:
    """Give the accelerators that torch sees and the CUDA it is built for."""
    try:
        import torch
    except Exception as error:  # no torch, or one that lacks a library
        return f'unknown, as torch does not load: {error}'
    if not torch.cuda.is_available():
        return 'CPU only'
    names = [
        torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())
    ]
    return f'{", ".join(names)} (CUDA {torch.version.cuda})'


def transformers_warning() -> Optional[str]:
    """Tell what transformers 5 breaks, or None if nothing."""
    if not multimodal_is_broken():
        return None
    return ('transformers>=5 with pycocotools makes "import '
            'mmpretrain.models" crash; dora_mm switches mmpretrain\'s '
            'multi-modal models off if it is imported first. To have them, '
            'run: pip install "transformers<5"')


def collect_env() -> Dict[str, str]:
    """Collect what a bug report needs.

    Returns:
        Dict[str, str]: Description by item, in the order to print.
    """
    env = {
        'dora_mm': __version__,
        'Python': f'{platform.python_version()} ({platform.platform()})',
        'Stack': stack_flavour(),
    }
    for package in HOST_PACKAGES:
        env[package.module] = describe_host(package)
    env['mmcv ops'] = (
        'yes' if has_mmcv_ops() else
        'no (enough for pretraining and mmseg; mmdet needs them)')
    env['Device'] = describe_device()
    for name, dists in OPTIONAL_DISTS.items():
        env[name] = describe_dist(dists)
    for name, dists in READER_DISTS.items():
        env[f'Video reader {name}'] = describe_dist(dists)
    env['ffmpeg program'] = shutil.which('ffmpeg') or 'not found'
    warning = transformers_warning()
    if warning is not None:
        env['Warning'] = warning
    return env


def main(argv: Optional[List[str]] = None) -> None:
    """Print one item a line."""
    argparse.ArgumentParser(
        description='Print what is installed and what is missing: what a bug '
        'report needs').parse_args(argv)
    for name, value in collect_env().items():
        print(f'{name}: {value}')


if __name__ == '__main__':
    main()
