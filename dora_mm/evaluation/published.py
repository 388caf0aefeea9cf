"""Numbers that others published, each with the one who measured it.

Nothing here was measured by this project. ViT-S/16 and 100 epochs unless the
method says otherwise. What EgoViT measured was read second-hand.
"""
from typing import Iterator, NamedTuple, Optional

# How each task was evaluated; values are per cent.
TASKS = dict(
    upernet='ADE20K, UPerNet fine-tuned, mIoU',
    ade_linear='ADE20K, linear, mIoU',
    coco='COCO, Cascade Mask R-CNN 1x, box AP',
    davis='DAVIS-2017, label propagation, J&F',
    got10k='GOT-10k, tracker fine-tuned, AO',
    corloc='object discovery, attention, CorLoc',
    lost_voc07='VOC07, LOST, CorLoc',
    lost_voc12='VOC12, LOST, CorLoc',
    lost_coco20k='COCO20k, LOST, CorLoc',
    linear='ImageNet-1k, linear, top-1',
    knn='ImageNet-1k, kNN, top-1',
    inat18='iNaturalist-18, fine-tuned, top-1',
    in1k='ImageNet-1k, fine-tuned, top-1',
    cifar100='CIFAR-100, fine-tuned, top-1',
    cars='Cars, fine-tuned, top-1',
    flowers='Flowers, fine-tuned, top-1',
    cifar10='CIFAR-10, fine-tuned, top-1')


class Published(NamedTuple):
    """One published number.

    ``task`` is a key of :data:`TASKS`, ``data`` what was pretrained on:
    'Venice' and 'Zurich' are one video of Walking Tours, 'ten videos' all of
    them, 'one video' one that is not named. ``measured_by`` is a paper, by the
    name of its method.
    """
    method: str
    data: str
    measured_by: str
    task: str
    value: float


def _rows() -> Iterator[Published]:
    fine_tuned = ('inat18', 'in1k', 'cifar100', 'cars', 'flowers', 'cifar10')
    groups = (
        ('DoRA', 'Venice', 'DoRA',
         dict(
             upernet=35.4,
             coco=39.5,
             davis=58.4,
             got10k=41.4,
             corloc=57.1,
             linear=44.5,
             knn=36)),
        ('DoRA', 'Venice', 'PooDLe', dict(upernet=35.2, ade_linear=14.1)),
        ('DoRA', 'ten videos', 'PooDLe', dict(upernet=38.3, ade_linear=13.9)),
        ('DoRA', 'Zurich', 'EgoViT',
         dict(upernet=21.6, coco=20.4, davis=53.8, corloc=24.1, linear=29.6)),
        ('DoRA', 'one video', 'DoRA',
         dict(zip(fine_tuned, (69.8, 80.8, 89.4, 92.5, 94.0, 98.5)))),
        ('DoRA', 'ten videos', 'DoRA',
         dict(zip(fine_tuned, (72.2, 81.4, 89.9, 93.1, 98.7, 98.8)))),
        ('DINO', 'ImageNet-1k', 'DoRA',
         dict(
             upernet=33.9,
             coco=39.9,
             davis=59.4,
             got10k=46.4,
             corloc=55.8,
             linear=72,
             knn=70)),
        ('DINO', 'ImageNet-1k', 'DoRA',
         dict(zip(fine_tuned, (71.5, 81.3, 89.8, 92.2, 98.3, 98.7)))),
        ('DINO', 'ImageNet-1k', 'LOST',
         dict(lost_voc07=61.9, lost_voc12=64.0, lost_coco20k=50.7)),
        ('DINO', 'Venice', 'PooDLe', dict(upernet=29.2, ade_linear=7.8)),
        ('DINO', 'Venice', 'DoRA', dict(linear=33.8)),
        ('DINO', 'Zurich', 'EgoViT',
         dict(upernet=21.2, coco=20.6, davis=53.8, corloc=37.2, linear=30.9)),
        ('iBOT', 'Venice', 'PooDLe', dict(upernet=33.9)),
        ('CroCo v2', 'Venice', 'Midway', dict(upernet=32.0, ade_linear=4.2)),
        ('Midway', 'Venice', 'Midway', dict(upernet=33.4)),
        ('Midway, 300 epochs', 'Venice', 'Midway', dict(upernet=36.9)),
        ('Midway, 100 or 300 epochs', 'Venice', 'Midway',
         dict(ade_linear=12.1)),
        ('PooDLe, ResNet-50', 'Venice', 'PooDLe',
         dict(upernet=36.6, ade_linear=14.6)),
        ('PooDLe, ResNet-50', 'ten videos', 'PooDLe',
         dict(upernet=41.0, ade_linear=16.5)),
        ('EgoViT, 320 epochs', 'Zurich', 'EgoViT',
         dict(upernet=26.0, corloc=45.2)),
        ('EgoViT, 320 epochs', 'ten videos', 'EgoViT',
         dict(upernet=30.6, corloc=50.2)),
        ('EgoViT, 320 epochs', 'Zurich or ten videos', 'EgoViT',
         dict(coco=24.3, davis=54.3, linear=34.0)),
    )
    for method, data, measured_by, values in groups:
        for task, value in values.items():
            yield Published(method, data, measured_by, task, float(value))


PUBLISHED = tuple(_rows())


def published(method: str, data: str, measured_by: str,
              task: Optional[str]) -> Optional[float]:
    """One number.

    Args:
        method, data, measured_by, task (str): See :class:`Published`.

    Returns:
        float: In per cent; None if there is none.
    """
    for row in PUBLISHED:
        if row[:4] == (method, data, measured_by, task):
            return row.value
    return None


def expected(task: str) -> str:
    """What to expect of a task, as the heads of configs say it.

    Args:
        task (str): A key of :data:`TASKS`.

    Returns:
        str: DoRA's and DINO's numbers, such as 'DoRA, Venice 35.4 [DoRA],
        35.2 [PooDLe]; DINO, ...': who measured it in brackets.
    """
    groups = {}
    for row in PUBLISHED:
        if row.task == task and row.method in ('DoRA', 'DINO'):
            groups.setdefault(f'{row.method}, {row.data}',
                              []).append(f'{row.value:g} [{row.measured_by}]')
    return '; '.join(f'{name} {", ".join(values)}'
                     for name, values in groups.items())


def markdown_table() -> str:
    """All numbers, a row for each, for the documentation.

    Returns:
        str: A table in Markdown.
    """
    lines = ['| task | method | pretrained on | value | measured by |',
             '|---|---|---|---|---|']  # yapf: disable
    lines += [
        f'| {text} | {row.method} | {row.data} | {row.value:g} | '
        f'{row.measured_by} |' for task, text in TASKS.items()
        for row in PUBLISHED if row.task == task
    ]
    return '\n'.join(lines)
