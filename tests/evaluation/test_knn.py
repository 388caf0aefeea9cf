"""Nearest neighbours against scikit-learn, alone and on two processes."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from clean_python import ROOT

import dora_mm
from dora_mm import config_path
from dora_mm.evaluation import KNNMetric, nearest_rows
from dora_mm.evaluation.knn_classifier import KNNClassifier

KS = (1, 5, 20)


def features(number, seed, dims=16):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(number, dims, generator=generator), dim=1)


@pytest.mark.parametrize('rows', [1 << 16, 64, 7])
def test_votes_equal_scikit_learn(monkeypatch, rows):
    """Also when the memory is searched in pieces, smaller than k even."""
    neighbors = pytest.importorskip('sklearn.neighbors')
    monkeypatch.setattr(nearest_rows, '_ROWS', rows)
    monkeypatch.setattr(nearest_rows, '_QUERIES', 10)
    memory, queries = features(200, 0), features(33, 1)
    labels = torch.randint(
        6, (200, ), generator=torch.Generator().manual_seed(2))
    found = KNNClassifier(
        memory, labels, 6, KS, temperature=0.3).votes(3 * queries)
    for k in KS:
        oracle = neighbors.KNeighborsClassifier(
            k, metric='cosine', weights=lambda d: np.exp((1 - d) / 0.3))
        oracle.fit(memory.double().numpy(), labels.numpy())
        expected = oracle.predict_proba(queries.double().numpy())
        shares = found[k] / found[k].sum(1, keepdim=True)
        np.testing.assert_allclose(shares, expected, atol=1e-5)


@pytest.mark.parametrize(('changes', 'message'), [
    (dict(ks=(5, 201)), r'ks=\(5, 201\).*M=200'),
    (dict(num_classes=3), r'\[0, 3\), but got 0 to 5'),
    (dict(temperature=0.), 'temperature must be > 0'),
    (dict(labels=torch.zeros(7)), r'\(200, 16\) and \(7,\)'),
])
def test_bad_settings(changes, message):
    settings = dict(
        features=features(200, 0),
        labels=torch.arange(200) % 6,
        num_classes=6,
        ks=(5, ))
    with pytest.raises(ValueError, match=message):
        KNNClassifier(**{**settings, **changes})


def test_metric_counts_ranks():
    metric = KNNMetric()
    votes = torch.tensor([0.1, 0.5, 0.0, 0.3, 0.2, 0.05, 0.01])
    for label in (1, 3, 2):  # ranks 0, 1 and 6
        metric.process(None, [dict(gt_label=label, votes={4: votes})])
    assert metric.evaluate(3) == pytest.approx({
        'knn/k4_top1': 100 / 3,
        'knn/k4_top5': 200 / 3
    })


OPTIONS = ('test_cfg.ks=[1,3,9]', 'test_dataloader.batch_size=2',
           'test_dataloader.num_workers=0',
           'test_cfg.memory_dataloader.batch_size=2',
           'test_cfg.memory_dataloader.num_workers=0')


def on_two_processes(data, out):
    """tools/test.py under torchrun on the CPU; its metrics."""
    env = dict(
        os.environ,
        PYTHONPATH=str(Path(dora_mm.__file__).parents[1]),
        CUDA_VISIBLE_DEVICES='-1',
        OMP_NUM_THREADS='1')
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR'):
        env.pop(name, None)
    done = subprocess.run([
        sys.executable, '-m', 'torch.distributed.run', '--standalone',
        '--nproc_per_node', '2', ROOT / 'tools/test.py',
        config_path('evaluation/knn_cifar10-mini.py'), 'colour', '--data',
        data, '--work-dir', out, '--launcher', 'pytorch', '--cfg-options',
        *OPTIONS
    ], env=env, capture_output=True, text=True)  # yapf: disable
    assert done.returncode == 0, done.stderr
    assert 'knn/k9_top1' in done.stdout
    return json.loads((out / 'results.json').read_text())['metrics']


def test_two_processes_give_what_one_gives(evaluate, image_set, tmp_path):
    """21 and 9 images: the sampler repeats some for the second process."""
    folder, archive = image_set
    alone = evaluate('knn_cifar10-mini.py', 'colour', folder, *OPTIONS)
    assert on_two_processes(archive, tmp_path / 'two') == alone
    # the classes differ in colour, in much noise
    assert 60 < alone['knn/k9_top1'] <= 100
