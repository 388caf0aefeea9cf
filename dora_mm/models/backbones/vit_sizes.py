from typing import Any, Mapping, Union

from ..utils.setting_checks import check_integer


def check_sizes(arch: Union[str, dict], settings: Mapping[str, Any]) -> None:
    """Refuse sizes that no ViT has.

    Args:
        arch (str | dict): See :class:`DoRAViT`.
        settings (Mapping): Its other arguments, ``patch_size`` and
            ``img_size`` (pixels) among them or not.

    Raises:
        ValueError: If a size is no positive integer, the heads do not share
            the channels evenly, or an image is no multiple of a patch.
    """
    if isinstance(arch, dict):
        for name, size in arch.items():
            check_integer(f'arch.{name}', size, 1)
        heads = arch.get('num_heads', 1)
        if arch.get('embed_dims', heads) % heads:
            raise ValueError(
                'arch.embed_dims must be a multiple of arch.num_heads, but '
                f'got {arch["embed_dims"]} with {heads}: change one of them')
    patch = check_integer('patch_size', settings.get('patch_size', 16), 1)
    size = settings.get('img_size', 224)
    for side in size if isinstance(size, (list, tuple)) else [size]:
        check_integer('img_size', side, patch)
        if side % patch:  # the stock class pads, so that the grid is larger
            below = side - side % patch
            raise ValueError(
                f'img_size must be a multiple of patch_size {patch}, but got '
                f'{size}: take {below} or {below + patch} for {side}')
