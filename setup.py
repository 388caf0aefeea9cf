"""Build steps of dora_mm; all metadata is in setup.cfg.

mim and ``_base_ = 'dora_mm::...'`` look for a package's configs and tools in
its folder ``.mim``. A wheel and an sdist get real files there, made while they
are built; an editable install gets links, so that an edited config is used at
once.
"""
import os
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
MIM_SOURCES = ('configs', 'tools', 'model-index.yml')


def copy_mim(mim_dir: Path) -> None:
    """Fill ``mim_dir`` with copies of the configs, tools and model index."""
    # What an earlier build left in build/ may hold files deleted since.
    shutil.rmtree(mim_dir, ignore_errors=True)
    mim_dir.mkdir(parents=True)
    for name in MIM_SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source,
                mim_dir / name,
                ignore=shutil.ignore_patterns('__pycache__', '*.py[cod]'))
        else:
            shutil.copy2(source, mim_dir / name)


def link_mim(mim_dir: Path) -> None:
    """Fill ``mim_dir`` with relative links to the sources."""
    mim_dir.mkdir(exist_ok=True)
    for name in MIM_SOURCES:
        link = mim_dir / name
        if link.is_symlink():
            link.unlink()
        link.symlink_to(os.path.relpath(ROOT / name, mim_dir))


class BuildPyWithMim(build_py):
    """Build the modules and the folder ``.mim``."""

    def run(self):
        super().run()
        if self.editable_mode:
            link_mim(ROOT / 'dora_mm' / '.mim')
        else:
            copy_mim(Path(self.build_lib) / 'dora_mm' / '.mim')


class SdistWithMim(sdist):
    """Pack the sources and the folder ``.mim``."""

    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        copy_mim(Path(base_dir) / 'dora_mm' / '.mim')


setup(cmdclass=dict(build_py=BuildPyWithMim, sdist=SdistWithMim))
