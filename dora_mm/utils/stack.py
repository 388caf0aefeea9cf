"""The host packages dora_mm stands on: which, how new, and known traps.

The OpenMMLab packages exist under two sets of distribution names with the same
import names: the original releases (``mmengine``) and the maintained OneDL
ones (``onedl-mmengine``). Versions are read from the installed metadata, so
nothing is imported to check them.
"""
import logging
from functools import wraps
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import NamedTuple, Optional, Tuple

from packaging.version import Version


class HostPackage(NamedTuple):
    """A package that dora_mm needs at import.

    Args:
        module (str): Import name.
        dists (Tuple[str]): Distribution names that provide it, the
            recommended one first.
        minimum (str): Lowest version that works.
        limit (str): First version that is not accepted.
    """
    module: str
    dists: Tuple[str, ...]
    minimum: str
    limit: str


# The ranges of the extras onedl and openmmlab together, as in setup.cfg.
HOST_PACKAGES = (
    HostPackage('torch', ('torch', ), '2.4', '2.13'),
    HostPackage('mmengine', ('onedl-mmengine', 'mmengine', 'mmengine-lite'),
                '0.10.7', '0.11'),
    HostPackage('mmcv', ('onedl-mmcv', 'mmcv', 'mmcv-lite'), '2.1.0', '2.4.0'),
    HostPackage('mmpretrain', ('onedl-mmpretrain', 'mmpretrain'), '1.2.0',
                '2.0'),
)


def find_dist(dists: Tuple[str, ...]) -> Optional[Tuple[str, str]]:
    """Find which of some distributions is installed.

    Args:
        dists (Tuple[str]): Distribution names, looked for in this order.

    Returns:
        Tuple[str, str] | None: Name and version of the first one found.
    """
    for dist in dists:
        try:
            return dist, metadata.version(dist)
        except metadata.PackageNotFoundError:
            continue
    return None


def find_version(package: HostPackage) -> Tuple[Optional[str], Optional[str]]:
    """Find the distribution and the version of a host package.

    Returns:
        Tuple[str | None, str | None]: Distribution name, None for a source
        tree that was never installed; version, None if there is no such
        package.
    """
    found = find_dist(package.dists)
    if found is not None:
        return found
    if find_spec(package.module) is None:
        return None, None
    return None, import_module(package.module).__version__


def check_host_package(package: HostPackage) -> None:
    """Check that a host package is installed in a version that works.

    Raises:
        ImportError: It is missing, too old or too new. The message names the
            command that repairs it.
    """
    dist, version = find_version(package)
    wanted = f'{package.module}>={package.minimum},<{package.limit}'
    if version is None:
        raise ImportError(
            f'dora_mm needs {wanted}, which is not installed. Run: '
            'pip install "dora-mm[onedl]"')
    # The tags of '2.11.0+cu130' or '2.6.0a0' say nothing about features.
    number = Version(Version(version).base_version)
    if Version(package.minimum) <= number < Version(package.limit):
        return
    spec = f'{dist or package.dists[0]}>={package.minimum},<{package.limit}'
    raise ImportError(f'dora_mm needs {wanted}, but {version} is installed. '
                      f'Run: pip install "{spec}"')


def check_host_packages() -> None:
    """Check all of ``HOST_PACKAGES``.

    Raises:
        ImportError: See :func:`check_host_package`.
    """
    for package in HOST_PACKAGES:
        check_host_package(package)


def stack_flavour() -> str:
    """Name the set of OpenMMLab releases that is installed.

    Returns:
        str: ``'OneDL'``, ``'OpenMMLab'``, ``'mixed'`` if packages of both
        sets, which overwrite each other's files, are installed, or
        ``'unknown'`` if none is (source trees on the path).
    """
    dists = [dist for package in HOST_PACKAGES[1:] for dist in package.dists]
    flavours = {
        'OneDL' if dist.startswith('onedl-') else 'OpenMMLab'
        for dist in dists if find_dist((dist, )) is not None
    }
    if not flavours:
        return 'unknown'
    return flavours.pop() if len(flavours) == 1 else 'mixed'


def multimodal_is_broken() -> bool:
    """Whether ``import mmpretrain.models`` would crash.

    mmpretrain's BLIP code subclasses a transformers class that transformers 5
    dropped. It is imported only if pycocotools is installed as well, which
    mmdet always brings.
    """
    transformers = find_dist(('transformers', ))
    if transformers is None or find_dist(('pycocotools', )) is None:
        return False
    return Version(transformers[1]) >= Version('5.0.dev0')


def guard_multimodal() -> None:
    """Let mmpretrain skip its multi-modal models where they would crash.

    Costs two metadata look-ups, and an import of mmpretrain only where the
    guard is needed.
    """
    if multimodal_is_broken():
        dependency = import_module('mmpretrain.utils.dependency')
        dependency.WITH_MULTIMODAL = False


def drop_debug_prints() -> None:
    """Leave out what the hosts say at every start, as of a missing OneDL.

    mmengine prints what is logged to no logger, whatever its level. All from
    the level INFO on stays.
    """
    import mmengine
    from mmengine import logging as host
    print_log = host.print_log

    @wraps(print_log)
    def print_from_info_on(msg: object,
                           logger: object = None,
                           level: int = logging.INFO) -> None:
        if logger is not None or level >= logging.INFO:
            print_log(msg, logger, level)

    mmengine.print_log = host.print_log = print_from_info_on
