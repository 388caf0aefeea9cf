"""Nearest neighbours against scikit-learn, alone and on two processes."""
import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from clean_python import ROOT
from mmpretrain.structures import DataSample
from PIL import Image
from tiny import build_model
from warm_python import warm_interpreter

import dora_mm
from dora_mm import config_path
from dora_mm.evaluation import KNNMetric, nearest_rows
from dora_mm.evaluation.knn_classifier import KNNClassifier, common_classes
from dora_mm.models import FrozenEncoder

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


def test_low_temperatures():
    """exp(1 / 0.005) is more than float32 holds; in float64 it is not."""
    memory, queries = features(300, 3), features(50, 4)
    labels = torch.arange(300) % 6
    for temperature in (0.005, 0.002):
        found = KNNClassifier(memory, labels, 6, (9, ),
                              temperature).votes(queries)[9].double()
        similarity, index = (queries.double() @ memory.double().T).topk(9)
        weights = torch.exp(similarity / temperature)
        expected = torch.zeros(
            50, 6, dtype=torch.float64).scatter_add_(1, labels[index], weights)
        torch.testing.assert_close(
            found / found.sum(1, keepdim=True),
            expected / expected.sum(1, keepdim=True),
            rtol=0,
            atol=1e-4)
    # in the limit the nearest one alone
    found = KNNClassifier(memory, labels, 6, (9, ), 1e-30).votes(queries)[9]
    assert torch.equal(found.argmax(1), labels[index[:, 0]])
    # and at the lowest temperature, with all that are as near
    twice = torch.cat((memory, memory))
    found = KNNClassifier(twice, torch.arange(600) % 7, 7, (9, ), 1.2e-38)
    expected = sum(
        F.one_hot((index[:, 0] + moved) % 7, 7) for moved in (0, 300))
    assert torch.equal(found.votes(queries)[9], expected.float())


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_what_is_not_finite_is_refused(value):
    memory, queries = features(30, 0), features(5, 1)
    classifier = KNNClassifier(memory.clone(),
                               torch.zeros(30).long(), 1, (5, ))
    memory[7, 3] = queries[2, 1] = value
    with pytest.raises(ValueError, match=rf'but got {value} at \[7, 3\]: che'):
        KNNClassifier(memory, torch.zeros(30).long(), 1, (5, ))
    with pytest.raises(ValueError, match=rf'queries.*{value} at \[2, 1\]'):
        classifier.votes(queries)


@pytest.mark.parametrize(('changes', 'message'), [
    (dict(ks=(5, 201)), r'ks=\(5, 201\).*M=200'),
    (dict(num_classes=3), r'\[0, 3\), but got 0 to 5'),
    (dict(temperature=0.), 'temperature must be above 0'),
    # the votes were no numbers
    (dict(temperature=1e-46), 'temperature .* got 1e-46: take 0.07'),
    (dict(temperature=1e-39), 'temperature .* got 1e-39: take 0.07'),
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


def test_classes_that_one_split_lacks(evaluate, tmp_path):
    """Train has a, b, c, test b and c; colours tell them apart."""
    for split, names in (('train', 'abc'), ('test', 'bc')):
        for i, name in enumerate('abc'):
            for number in range(4) if name in names else ():
                pixels = np.zeros((32, 32, 3), np.uint8)
                pixels[..., i] = 200 + 9 * number
                path = tmp_path / 'set' / split / name / f'{number}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    found = evaluate('knn_cifar10-mini.py', 'colour', tmp_path / 'set',
                     'test_cfg.ks=[1,3]', *OPTIONS[1:])
    assert found['knn/k1_top1'] == found['knn/k3_top1'] == 100
    sets = [SimpleNamespace(metainfo=dict(classes=c)) for c in ('ab', 'bc')]
    with pytest.raises(ValueError, match=r"\['a', 'c'\] are in one alone"):
        common_classes(*sets)


def test_weights_of_nan_are_refused():
    model = build_model()
    with torch.no_grad():
        model.teacher['backbone'].layers[1].ffn.layers[1].bias[3] = torch.nan
    encoder = FrozenEncoder(
        model.teacher['backbone'],
        dict(type='mmengine.ImgDataPreprocessor', mean=None, std=None))
    batch = dict(
        inputs=torch.zeros(2, 3, 32, 32),
        data_samples=[DataSample(metainfo=dict(img_path=n)) for n in 'xy'])
    with pytest.raises(ValueError, match='NaN or infinity for image x: check'):
        encoder.encode(batch)


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
    python = warm_interpreter(out.parent)
    env = dict(
        os.environ,
        PYTHON_EXEC=python,
        PYTHONPATH=str(Path(dora_mm.__file__).parents[1]),
        CUDA_VISIBLE_DEVICES='-1',
        OMP_NUM_THREADS='1')
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR'):
        env.pop(name, None)
    done = subprocess.run([
        python, '-m', 'torch.distributed.run', '--standalone',
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
