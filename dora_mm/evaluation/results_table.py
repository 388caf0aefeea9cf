"""Results of several backbones beside the paper's."""
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Union

import numpy as np

from .published import published


class Evaluation(NamedTuple):
    """One number of one evaluation, ``task`` of ``published.TASKS``."""
    title: str
    config: str
    folder: str  # in the root of the data
    needs: Sequence[str]  # that must be there, in the folder
    metric: str
    task: Optional[str] = None
    note: str = ''

    @property
    def dora(self) -> Optional[float]:
        """DoRA's of one Walking Tours video, as its authors measured it."""
        return published('DoRA', 'Venice', 'DoRA', self.task)

    @property
    def dino(self) -> Optional[float]:
        """DINO's of ImageNet-1k, as DoRA's authors measured it."""
        return published('DINO', 'ImageNet-1k', 'DoRA', self.task)


EVALUATIONS = (
    Evaluation('ImageNet kNN top-1', 'knn_imagenet', 'imagenet',
               ('train', 'val'), 'knn/k20_top1', 'knn',
               'the paper does not state k'),
    Evaluation('CIFAR-10 mini kNN top-1', 'knn_cifar10-mini',
               'cifar10_mini.tar', (), 'knn/k20_top1'),
    Evaluation('CIFAR-10 mini kNN, whitened', 'knn_cifar10-mini',
               'cifar10_mini.tar', (), 'knn/cls_white_k20_top1'),
    Evaluation('CIFAR-10 mini kNN, patches', 'knn_cifar10-mini',
               'cifar10_mini.tar', (), 'knn/patch_k20_top1'),
    Evaluation('CIFAR-10 mini kNN, whitened patches', 'knn_cifar10-mini',
               'cifar10_mini.tar', (), 'knn/patch_white_k20_top1'),
    Evaluation('DAVIS-2017 J&F', 'davis2017', 'davis',
               ('ImageSets/2017/val.txt', 'JPEGImages/480p'), 'davis/J&F-Mean',
               'davis'),
    Evaluation('DAVIS-2016 J&F', 'davis2016', 'davis',
               ('JPEGImages/480p', 'Annotations/480p'), 'davis/J&F-Mean'),
    Evaluation('VOC07 attention CorLoc', 'discovery_voc', 'VOC2007',
               ('ImageSets/Main/trainval.txt', ), 'discovery/attention_CorLoc',
               'corloc', 'the paper does not name the set'),
    Evaluation('VOC12 attention CorLoc', 'discovery_voc', 'VOC2012',
               ('ImageSets/Main/trainval.txt', ), 'discovery/attention_CorLoc',
               'corloc', 'the paper does not name the set'),
    Evaluation('COCO20k attention CorLoc', 'discovery_coco20k', 'coco',
               ('train2014', 'annotations/instances_train2014.json',
                'coco_20k_filenames.txt'), 'discovery/attention_CorLoc'),
    Evaluation('VOC07 LOST CorLoc', 'discovery_voc', 'VOC2007',
               ('ImageSets/Main/trainval.txt', ), 'discovery/lost_CorLoc'),
    Evaluation('VOC12 LOST CorLoc', 'discovery_voc', 'VOC2012',
               ('ImageSets/Main/trainval.txt', ), 'discovery/lost_CorLoc'),
    Evaluation('COCO20k LOST CorLoc', 'discovery_coco20k', 'coco',
               ('train2014', 'annotations/instances_train2014.json',
                'coco_20k_filenames.txt'), 'discovery/lost_CorLoc'),
    Evaluation('VOC12 dense retrieval mIoU', 'hummingbird_voc', 'VOC2012',
               ('SegmentationClass', 'ImageSets/Segmentation/val.txt'),
               'dense/mIoU'),
    Evaluation('ADE20K dense retrieval mIoU', 'hummingbird_ade20k',
               'ADEChallengeData2016',
               ('images/validation', 'annotations/validation'), 'dense/mIoU'),
    Evaluation('Cityscapes dense retrieval mIoU', 'hummingbird_cityscapes',
               'cityscapes', ('leftImg8bit/val', 'gtFine/val'), 'dense/mIoU'),
    Evaluation('COCO-Stuff dense retrieval mIoU', 'hummingbird_coco-stuff',
               'coco_stuff164k', ('images/val2017', 'annotations/val2017'),
               'dense/mIoU'),
    Evaluation('VIP mIoU', 'vip', 'VIP_Fine',
               ('lists/val_videos.txt', 'Annotations/Category_ids'),
               'vip/mIoU'),
    Evaluation('JHMDB PCK@0.1', 'jhmdb', 'JHMDB',
               ('Rename_Images', 'joint_positions', 'splits'),
               'jhmdb/PCK@0.1'),
    Evaluation('GOT-10k AO', 'got10k', 'GOT-10k', ('val', ), 'got10k/AO',
               'got10k', 'training free here, fine-tuned in the paper'),
)


def text_table(rows: List[Dict], names: Sequence[str]) -> str:
    """The results as text.

    Args:
        rows (list[dict]): ``title``, ``values`` (for each backbone a list
            of numbers, one for each seed), ``dora``, ``dino`` and ``note``.
        names (Sequence[str]): Of the backbones.

    Returns:
        str: A line for each row, under a line of names; of several seeds the
        mean and the standard deviation (of n - 1).
    """
    header = ['', *names, 'DoRA*', 'DINO*', '']
    lines = [header]
    for row in rows:
        paper = [row[name] for name in ('dora', 'dino')]
        lines.append([
            row['title'], *map(_seeds_text, row['values']),
            *('-' if value is None else f'{value:.1f}' for value in paper),
            row['note']
        ])
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = [
        '  '.join(
            cell.ljust(width) if i in (0,
                                       len(header) - 1) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
        for line in lines
    ]
    text.append("* measured by DoRA's authors, ViT-S/16: DoRA on one Walking "
                'Tours video, DINO on ImageNet-1k')
    return '\n'.join(text)


def _spread(seeds: Sequence[float]) -> float:
    return float(np.std(seeds, ddof=1)) if len(seeds) > 1 else 0.


def _seeds_text(seeds: Sequence[float]) -> str:
    more = f' ± {_spread(seeds):.1f}' if len(seeds) > 1 else ''
    return f'{np.mean(seeds):.1f}{more}'


def plot_table(rows: List[Dict], names: Sequence[str],
               path: Union[str, Path]) -> None:
    """The results as bars, the paper's as lines across them.

    A bar is the mean of the seeds, with the standard deviation and the value.

    Args:
        rows (list[dict]): As in :func:`text_table`.
        names (Sequence[str]): Of the backbones.
        path (str | Path): PNG to write.
    """
    # only needed here, and heavy
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=(3 + 1.6 * len(rows), 4), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    width = 0.8 / len(names)
    places = np.arange(len(rows))
    for i, name in enumerate(names):
        bars = axes.bar(
            places + (i - (len(names) - 1) / 2) * width,
            [np.mean(row['values'][i]) for row in rows],
            width,
            yerr=[_spread(row['values'][i]) for row in rows],
            label=name)
        axes.bar_label(
            bars, [_seeds_text(row['values'][i]) for row in rows],
            label_type='center',
            fontsize=7)
    for key, style in (('dora', '-'), ('dino', ':')):
        known = [(x, row[key]) for x, row in zip(places, rows)
                 if row[key] is not None]
        if known:
            x, values = np.array(known).T
            name = 'DoRA' if key == 'dora' else 'DINO'
            axes.hlines(
                values,
                x - 0.45,
                x + 0.45,
                'black',
                style,
                label=f'{name}, paper')
    axes.set_xticks(places,
                    [row['title'].replace(' ', '\n', 1) for row in rows])
    axes.set_ylabel('per cent')
    # Beside the bars: inside it covers one.
    axes.legend(loc='upper left', bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=120)
