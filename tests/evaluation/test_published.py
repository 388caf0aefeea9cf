"""Every place that prints a paper's number agrees with the one table."""
import re
from pathlib import Path

import pytest
from clean_python import ROOT

from dora_mm import config_path
from dora_mm.evaluation.published import (PUBLISHED, TASKS, expected,
                                          markdown_table, published)
from dora_mm.utils.shipped_configs import list_configs

EXPECTED = {
    'dora/vit-s16_wt': ['upernet'],
    'dora/vit-s16_wt_released': ['upernet', 'linear'],
    'dino/vit-s16_wt': ['upernet', 'linear'],
    'evaluation/knn_imagenet': ['knn'],
    'evaluation/davis2017': ['davis'],
    'evaluation/got10k': ['got10k'],
    'evaluation/discovery_voc': ['corloc', 'lost_voc07', 'lost_voc12'],
    'evaluation/discovery_coco20k': ['lost_coco20k'],
    'benchmarks/mmsegmentation/upernet_vit-s16_ade20k-160k': ['upernet'],
    'benchmarks/mmsegmentation/linear_vit-s16_ade20k-160k': ['ade_linear'],
    'benchmarks/mmdetection/cascade-mask-rcnn_vit-s16_fpn_1x_coco': ['coco'],
    'benchmarks/mmpretrain/linear_vit-s16_in1k': ['linear'],
    'benchmarks/mmpretrain/fine-tune_vit-s16_in1k': ['in1k'],
    'benchmarks/mmpretrain/fine-tune_vit-s16_inat18': ['inat18'],
    'benchmarks/mmpretrain/fine-tune_vit-s16_cifar10': ['cifar10'],
    'benchmarks/mmpretrain/fine-tune_vit-s16_cifar100': ['cifar100'],
    'benchmarks/mmpretrain/fine-tune_vit-s16_cars': ['cars'],
    'benchmarks/mmpretrain/fine-tune_vit-s16_flowers102': ['flowers'],
}
VALUES = {f'{row.value:.1f}' for row in PUBLISHED if row.value % 1}


def head(name):
    """The comment that a config opens with, as one line."""
    lines = Path(config_path(name)).read_text().splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith('#'))
    return ' '.join(' '.join(line[1:] for line in lines[:end]).split())


@pytest.mark.parametrize('name', EXPECTED)
def test_configs_print_the_table(name):
    for task in EXPECTED[name]:
        assert expected(task) in head(name)


def test_no_config_prints_another_number():
    """What is left of a head has no number of a paper in it."""
    for name in list_configs():
        name = name[:-len('.py')]
        text = head(name)
        for task in EXPECTED.get(name, ()):
            text = text.replace(expected(task), '')
        found = set(re.findall(r'\b\d\d\.\d\b', text)) & VALUES
        assert not found, (name, found)


def test_documentation_prints_the_table():
    text = (ROOT / 'docs/evaluation.md').read_text()
    assert markdown_table() in text
    text = text.replace(markdown_table(), '')
    pages = {
        page: page.read_text()
        for page in [ROOT / 'README.md', *(ROOT / 'configs').rglob('*.md'),
                     *(ROOT / 'configs').rglob('*.yml')]
    }  # yapf: disable
    readme = pages[ROOT / 'README.md']
    assert expected('upernet') in ' '.join(readme.split())
    # 58.4 is also one of our own
    for page, text in {**pages, 'evaluation': text}.items():
        text = ' '.join(text.split()).replace(expected('upernet'), '')
        for value in ('35.4', '38.3', '44.5', '57.1', '41.4', '61.9'):
            assert not re.search(rf'\b{value}\b', text), (page, value)


def test_owners():
    """What is easily put down to the wrong paper."""
    assert published('DoRA', 'Venice', 'DoRA', 'ade_linear') is None
    assert published('DoRA', 'Venice', 'PooDLe', 'ade_linear') == 14.1
    assert published('DoRA', 'ten videos', 'DoRA', 'upernet') is None
    assert published('DINO', 'Venice', 'PooDLe', 'upernet') == 29.2
    assert published('DINO', 'Venice', 'DoRA', 'linear') == 33.8
    rows = {row[:4] for row in PUBLISHED}
    assert len(rows) == len(PUBLISHED) and {r[3] for r in rows} == set(TASKS)
