"""Runs of the hosts' own tools/train.py, and what they must have kept."""
import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from warm_python import run_warm

ARCH = dict(
    embed_dims=64, num_layers=12, num_heads=1, feedforward_channels=128)
SCHEDULE = """
randomness = dict(seed=0)
param_scheduler = []
default_hooks = dict(logger=dict(interval=1))
env_cfg = dict(cudnn_benchmark=False)
log_processor = dict(window_size=1)
"""


def train(host, config, work_dir, *options):
    """Train by ``host``'s tools/train.py in a process of its own.

    Args:
        host (str): Import name.
        config (Path): A config.
        work_dir (Path): Where the run goes.
        options: More arguments.

    Returns:
        SimpleNamespace: path and content of the last checkpoint, all that was
        logged since the start, and the losses of it.
    """
    package, = importlib.util.find_spec(host).submodule_search_locations
    done = run_warm(
        Path(package) / '.mim' / 'tools' / 'train.py',
        config,
        '--work-dir',
        work_dir,
        *options,
        cwd=config.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    last = Path((work_dir / 'last_checkpoint').read_text())
    scalars = sorted(work_dir.glob('*/vis_data/scalars.json'))[-1]
    logs = [json.loads(line) for line in scalars.read_text().splitlines()]
    return SimpleNamespace(
        path=last,
        checkpoint=torch.load(last, weights_only=False),
        logs=logs,
        losses=[log['loss'] for log in logs if 'loss' in log])


def assert_backbone_is_frozen(run, published, absent=()):
    """Bit for bit, except the position embeddings, which loading resizes.

    ``absent`` starts the names of what the model was built without.
    """
    trained = run.checkpoint['state_dict']
    source = torch.load(published, weights_only=True)['state_dict']
    assert len(source) == 6 + 12 * 12
    for name, tensor in source.items():
        inner = name[len('backbone.'):]
        if inner != 'pos_embed' and not inner.startswith(tuple(absent)):
            assert torch.equal(trained[name], tensor), name


def assert_layer_decay(run, base_lr, rate, weight_decay, exempt=()):
    """Learning rate and weight decay of every parameter, by its name."""
    groups = {
        group['param_name']: group
        for group in run.checkpoint['optimizer']['param_groups']
    }
    state = run.checkpoint['state_dict']
    stem = ('backbone.patch', 'backbone.pos', 'backbone.cls')
    buffers = ('running_mean', 'running_var', 'num_batches_tracked')
    assert set(groups) == {n for n in state if not n.endswith(buffers)}
    for name, group in groups.items():
        depth = 13
        if name.startswith('backbone.layers.'):
            depth = int(name.split('.')[2]) + 1
        elif name.startswith(stem):
            depth = 0
        lr = group.get('initial_lr', group['lr'])
        assert lr == pytest.approx(base_lr * rate**(13 - depth)), name
        none = state[name].ndim == 1 or name in exempt
        assert group['weight_decay'] == (0 if none else weight_decay), name
