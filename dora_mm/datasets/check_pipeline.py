from typing import Sequence

from dora_mm.registry import TRANSFORMS
from .transforms import PackClipInputs


def check_pipeline(pipeline: Sequence[dict], reads_video: bool) -> None:
    """Refuse a pipeline that gets no clips, or makes no ``inputs`` of them.

    Transforms of users may do both; of ours one reads and one packs.

    Args:
        pipeline (Sequence[dict]): Settings of the transforms.
        reads_video (bool): Whether the first one has to read the clips, or
            gets them.

    Raises:
        ValueError: If it is empty, or begins or ends with another of our
            transforms.
    """
    classes = [
        TRANSFORMS.get(item['type'])
        if isinstance(item['type'], str) else item['type'] for item in pipeline
    ]
    own = {cls for cls in classes if cls.__module__.startswith('dora_mm.')}
    if not classes or (classes[-1] in own
                       and not issubclass(classes[-1], PackClipInputs)):
        raise ValueError(
            'pipeline must end with a transform that packs inputs, but got '
            f'{list(pipeline)!r}: add dict(type=\'dora_mm.PackClipInputs\')')
    if classes[0] in own and hasattr(classes[0], 'check_video') != reads_video:
        wanted, remedy = (
            ('a transform that reads clips',
             "begin with dict(type='dora_mm.LoadClipFromVideo')")
            if reads_video else
            ('what comes behind reading', 'images are clips already'))
        raise ValueError(f'pipeline must begin with {wanted}, but got '
                         f'{list(pipeline)!r}: {remedy}')
