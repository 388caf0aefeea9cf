"""benchmarks/wt_mini.py: equal arms, the first frames, one table."""
import sys

import pytest
from clean_python import ROOT
from mmengine.config import Config

from dora_mm.models import ModelLoader
from dora_mm.utils.shipped_configs import config_path

sys.path.insert(0, str(ROOT / 'benchmarks'))
import wt_mini  # noqa: E402 isort:skip

# What the arms are meant to differ in, written out.
DIFFERENCES = {
    'dora': {},
    'literal': {
        'model.head.normalize_tokens': False,
        'model.head.plan_mass': 'unit'
    },
    'shuffled': {
        'model.mask_control': 'other_clip'
    },
    'no-sinkhorn': {
        'model.head.refine': False
    },
    'second-last-layer': {
        'model.track_layer': -2,
        'model.patch_feature': 'attention',
        'model.head.normalize_tokens': False,
        'model.head.plan_mass': 'unit'
    },
}


def arm(name, *options):
    args = wt_mini.parse_args(['v.mp4', '--data', 'data', *options])
    return wt_mini.arm_config(name, args, ['v.mp4'])


def flat(config, prefix=''):
    found = {}
    for key, value in config.items():
        if isinstance(value, dict):
            found.update(flat(value, f'{prefix}{key}.'))
        else:
            found[prefix + key] = value
    return found


def test_arms_differ_only_in_what_they_are_about():
    dora = flat(arm('dora', '--preset', 'gpu'))
    for name, expected in DIFFERENCES.items():
        other = flat(arm(name, '--preset', 'gpu'))
        found = {k: v for k, v in other.items() if dora.get(k) != v}
        assert found == expected, name
        assert set(dora) <= set(other)
    dino = flat(arm('dino', '--preset', 'gpu'))
    assert {
        k: v
        for k, v in dino.items() if dora.get(k) != v
    } == {
        'model.type': 'dora_mm.DINO'
    }


def test_gpu_preset_is_the_run_that_was_made():
    cfg = arm('dora', '--preset', 'gpu')
    model, data = cfg.model, cfg.train_dataloader
    assert model.backbone.arch == 'deit-small'
    assert model.backbone.drop_path_rate == 0
    assert model.neck.norm_last_layer
    assert model.neck.out_channels == model.loss.out_channels == 4096
    views = model.data_preprocessor
    assert (views.global_views.size, views.local_views.size,
            views.local_views.num) == (160, 80, 4)
    assert (model.head.epsilon, model.head.num_iters) == (0.01, 50)
    assert (data.batch_size, data.dataset.clip_len,
            data.dataset.frame_interval) == (64, 4, 0.25)
    assert cfg.optim_wrapper.optimizer.lr == 5e-4
    assert cfg.param_scheduler[0].warmup == 5
    ema, = [h for h in cfg.custom_hooks if 'EMA' in h.type]
    assert ema.momentum == ema.end_momentum == 0.99
    assert not data.dataset.get('across_cuts', False)


@pytest.mark.parametrize('steps', [2, 7, 100, 200])
@pytest.mark.parametrize('clips', [2, 64])
def test_a_run_has_as_many_steps_as_asked_for(steps, clips):
    cfg = arm('dora', '--steps', str(steps), '--clips', str(clips))
    epoch = cfg.train_dataloader.sampler.num_samples // clips
    assert epoch * cfg.train_cfg.max_epochs == steps
    assert cfg.train_dataloader.batch_size == clips
    assert cfg.param_scheduler[0].warmup < cfg.train_cfg.max_epochs


@pytest.mark.parametrize('preset', ['cpu', 'gpu'])
def test_models_can_be_built(preset, tmp_path):
    path = tmp_path / 'literal.py'
    arm('literal', '--preset', preset).dump(path)
    model = ModelLoader(str(path)).model()
    width = {'cpu': 192, 'gpu': 384}[preset]
    assert model.backbone.embed_dims == width
    assert len(model.backbone.layers) == 12
    assert Config.fromfile(path).model.type == Config.fromfile(
        config_path('dora/vit-s16_wt')).model.type


def test_first_frames_by_links(tmp_path):
    data = tmp_path / 'data'
    for kind, ext in (('JPEGImages', 'jpg'), ('Annotations', 'png')):
        for video in ('bear', 'dog'):
            folder = data / 'davis' / kind / '480p' / video
            folder.mkdir(parents=True)
            for t in range(5):
                (folder / f'{t:05}.{ext}').write_text(f'{video} {t}')
    (data / 'cifar10_mini.tar').write_text('images')
    args = wt_mini.parse_args([
        'v.mp4', '--data',
        str(data), '--davis-frames', '3', '--out-dir',
        str(tmp_path / 'out')
    ])
    (data / 'davis/JPEGImages/480p/.DS_Store').write_text('')
    (data / 'davis/JPEGImages/480p/dog/.DS_Store').write_text('')
    for _ in range(2):  # again: nothing is in its way
        short = wt_mini.short_data(args)
        files = sorted(short.glob('davis/*/480p/*/*'))
        assert len(files) == 2 * 2 * 3
        for path in files:
            assert path.read_text() == f'{path.parent.name} {int(path.stem)}'
        assert (short / 'cifar10_mini.tar').read_text() == 'images'


def test_links_of_other_data_are_not_kept(tmp_path):
    """Models were compared on a mixture of both."""
    out = ['--davis-frames', '3', '--out-dir', str(tmp_path / 'out')]
    changed = []
    for name, videos in (('a', ('bear', 'dog')), ('b', ('cat', 'dog'))):
        for video in videos:
            folder = tmp_path / name / 'davis/JPEGImages/480p' / video
            folder.mkdir(parents=True)
            for t in range(3):
                (folder / f'{t:05}.jpg').write_text(name)
        args = wt_mini.parse_args(
            ['v.mp4', '--data', str(tmp_path / name), *out])
        frames = wt_mini.short_data(args) / 'davis/JPEGImages/480p'
        assert [path.name for path in sorted(frames.iterdir())] == [*videos]
        assert {p.read_text() for p in frames.glob('*/*')} == {name}
        changed.append(frames.stat().st_ino)
        wt_mini.short_data(args)
        assert frames.stat().st_ino == changed[-1]  # what is right stays


def test_table_and_plot(tmp_path):
    found = dict(
        arms=dict(dino={}, dora={}, colour={}),
        metrics={
            'J&F':
            dict(
                values=dict(
                    dino=[[40., 42.], [42., 44.]],
                    dora=[[50., 42.], [52., 44.]],
                    colour=[[60., 60.]]),
                differences=dict(
                    dora=dict(
                        mean=5., better=1, sequences=2, verdict='better'),
                    colour=dict(
                        mean=18., better=2, sequences=2, verdict='better')))
        })
    figures = dict(dino=[dict(cls_rank=2.), dict(cls_rank=4.)])
    lines = wt_mini.table(found, figures).splitlines()
    cells = [[c.strip() for c in line.split('|')[1:-1]] for line in lines]
    assert {len(row) for row in cells} == {3 + len(wt_mini.FIGURES)}
    assert cells[0][:4] == ['arm', 'J&F', 'less dino', 'cls_rank']
    assert cells[2][:4] == ['dino', '42.00 ± 1.41', '', '3 ± 1.41']
    assert cells[3][:4] == [
        'dora', '47.00 ± 1.41', '+5.00, better on 1 of 2: better', ''
    ]
    assert cells[4][:3] == [
        'colour', '60.00', '+18.00, better on 2 of 2: better'
    ]
    wt_mini.plot(found['metrics'], tmp_path / 'a.png')
    assert (tmp_path / 'a.png').read_bytes()[:4] == b'\x89PNG'


@pytest.mark.parametrize('options', [('--steps', '1'), ('--steps', '101'),
                                     ('--clips', '0'),
                                     ('--davis-frames', '2'),
                                     ('--seeds', '-1'), ('--workers', '-1')])
def test_mistakes(options, capsys):
    with pytest.raises(SystemExit):
        arm('dora', *options)
    message = capsys.readouterr().err
    assert f'{options[0]}' in message.splitlines()[-1]
    assert 'must' in message and options[1] in message.splitlines()[-1]
