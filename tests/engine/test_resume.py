"""A resumed run: equal, converted as the log says, or refused."""
import copy
import math
import shutil
from functools import lru_cache

import pytest
import torch
from clean_python import ROOT
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, MODELS
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from tiny import model_cfg
from torch.utils.data import Dataset

from dora_mm.utils.newest_checkpoint import newest_checkpoint

RECORDS = []


@DATASETS.register_module()
class NamedClips(Dataset):
    """Six clips of random pixels for each file, a function of its name."""

    def __init__(self, video):
        self.videos = [type('Video', (), dict(path=path)) for path in video]

    def __len__(self):
        return 6 * len(self.videos)

    def __getitem__(self, item):
        index, seed = item
        name = f'{self.videos[index // 6].path.rpartition("/")[2]}{index % 6}'
        generator = torch.Generator().manual_seed(sum(name.encode()))
        clip = torch.randint(
            256, (2, 3, 40, 40), dtype=torch.uint8, generator=generator)
        return dict(
            inputs=clip,
            data_samples=DataSample(
                metainfo=dict(seed=seed, name=name, num_replaced=0)))


@HOOKS.register_module()
class RecordPlan(Hook):
    """What a step was made of, and an end of the run where it is killed."""

    def __init__(self, stop=math.inf):
        self.stop = stop

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.stop:
            raise KeyboardInterrupt
        groups = runner.optim_wrapper.optimizer.param_groups
        RECORDS.append(
            dict(
                iter=runner.iter,
                epoch=runner.epoch,
                clips=[s.name for s in data_batch['data_samples']],
                rate=[g['lr'] for g in groups],
                decay=[g['weight_decay'] for g in groups]))

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.optim_wrapper.should_update():
            RECORDS[-1]['momentum'] = runner.message_hub.get_scalar(
                'train/momentum').current()


@MODELS.register_module()
class OneLayer(BaseModel):
    """What a plan is tried on where the loss does not matter."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 2)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return dict(loss=self.layer(inputs.float().mean()[None]).sum())

    def seed_step(self, seed):
        pass

    def update_teacher(self, momentum):
        pass


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """Two files; only names and bytes count."""
    folder = tmp_path_factory.mktemp('videos')
    for name in ('b.mp4', 'a.mp4'):
        (folder / name).write_bytes(name.encode() * 99)
    return [str(folder / 'b.mp4'), str(folder / 'a.mp4')]


def train(folder, videos, stop=math.inf, resume=None, **changes):
    """Train; records by iteration, and the last checkpoint."""
    base = ROOT / 'configs'
    cfg = Config.fromfile(base / '_base_/default_runtime.py')
    schedule = Config.fromfile(base / '_base_/schedules/adamw_100e.py')
    cfg.merge_from_dict(
        dict(
            model=changes.pop('model', None) or model_cfg(),
            work_dir=str(folder),
            experiment_name=f'{folder}-{len(RECORDS)}-{stop}',
            custom_hooks=[
                dict(type='dora_mm.StepSeedHook'),
                dict(type='dora_mm.TeacherEMAHook'),
                dict(type='RecordPlan', stop=stop)
            ],
            optim_wrapper=dict(
                type='OptimWrapper',
                accumulative_counts=1,
                optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.04),
                constructor='dora_mm.DecayGroupsConstructor'),
            param_scheduler=schedule.param_scheduler,
            auto_scale_lr=dict(enable=False, base_batch_size=4),
            train_cfg=dict(type='dora_mm.ResumableEpochLoop', max_epochs=2),
            train_dataloader=dict(
                batch_size=2,
                num_workers=0,
                drop_last=True,
                sampler=dict(type='dora_mm.ClipSampler'),
                collate_fn=dict(type='default_collate'),
                dataset=dict(type='NamedClips', video=videos))))
    cfg.param_scheduler[0].warmup = 1
    cfg.default_hooks.checkpoint.interval = 1
    cfg.merge_from_dict(changes)
    if resume:
        cfg.resume, cfg.load_from = True, str(resume)
    RECORDS.clear()
    runner = Runner.from_cfg(cfg)
    try:
        runner.train()
    except KeyboardInterrupt:
        pass
    last = newest_checkpoint(folder)
    state = last and torch.load(last, weights_only=False)
    return {r['iter']: r for r in copy.deepcopy(RECORDS)}, state


def tensors(state):
    """All numbers of a checkpoint by name."""
    moments = {
        f'{i}.{name}': value
        for i, entry in state['optimizer']['state'].items()
        for name, value in entry.items()
    }
    return {**state['state_dict'], **moments}


def check_equal(one, other):
    one, other = tensors(one), tensors(other)
    assert list(one) == list(other)
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.mark.parametrize('accumulation', [1, 4])
def test_equal(tmp_path, videos, accumulation):
    """Killed at 2, 5, 6 and 7 of 12 iterations, in a folder that moves."""
    options = {
        'optim_wrapper.accumulative_counts': accumulation,
        'model.backbone.arch.num_layers': 1
    }
    _, whole = train(tmp_path / 'whole', videos, **options)
    folder = tmp_path / 'parts'
    resume = None
    for stop in (2, 5, 6, 7, math.inf):
        records, parts = train(folder, videos, stop, resume, **options)
        moved = tmp_path / f'moved{stop}'
        if any(folder.glob('*.pth')):
            shutil.move(folder, moved)
            folder, resume = moved, newest_checkpoint(moved)
    check_equal(whole, parts)


BATCH = 'train_dataloader.batch_size'
COUNTS = 'optim_wrapper.accumulative_counts'
# What is saved and what is present, beside the settings of ``train``.
MATRIX = {
    'more epochs': ({}, {
        'train_cfg.max_epochs': 4
    }),
    'fewer epochs': ({
        'train_cfg.max_epochs': 4
    }, {}),
    'rate': ({}, {
        'optim_wrapper.optimizer.lr': 5e-3
    }),
    'larger batch': ({}, {
        BATCH: 4
    }),
    'smaller batch': ({
        BATCH: 4
    }, {}),
    'scaled rate': ({}, {
        'auto_scale_lr.enable': True
    }),
    'accumulation': ({}, {
        COUNTS: 2
    }),
    'no accumulation': ({
        COUNTS: 2
    }, {}),
    'one process as two': ({}, {
        'world': 2,
        BATCH: 1
    }),
    'two processes as one': ({
        'world': 2,
        BATCH: 1
    }, {}),
    'one process as two, larger batch': ({}, {
        'world': 2
    }),
    'order of the videos': ({}, {
        'reverse': True
    }),
}


@pytest.fixture(scope='module')
def ranks(videos, tmp_path_factory):
    """Train a plan once: its folders, and its records by iteration.

    Of several ranks each is a run of its own here; a record has the clips of
    all of them.
    """

    @lru_cache(maxsize=None)
    def train_once(options, resume):
        options = dict(options, model=dict(type='OneLayer'))
        files = videos[::-1] if options.pop('reverse', False) else videos
        world, found = options.pop('world', 1), {}
        folders = [tmp_path_factory.mktemp('run') for _ in range(world)]
        for rank in range(world):
            with pytest.MonkeyPatch.context() as patch:
                for module in ('dora_mm.datasets.samplers.clip_sampler',
                               'mmengine.runner.runner'):
                    patch.setattr(f'{module}.get_dist_info',
                                  lambda: (rank, world))
                records, _ = train(folders[rank], files, math.inf, resume,
                                   **options)
            for step, record in records.items():
                others = found.get(step, dict(clips=[]))['clips']
                record['clips'] = sorted(others + record['clips'])
                found[step] = record
        return folders, found

    return lambda options, resume=None: train_once(
        tuple(options.items()), resume)


@pytest.mark.parametrize('place', ['inside', 'boundary'])
@pytest.mark.parametrize('name', MATRIX)
def test_matrix(ranks, name, place):
    """Rates, decay, momentum and clips are those of a run of that plan.

    All clips of an epoch are seen once, by the runs before and after together.
    """
    saved, present = MATRIX[name]
    world = saved.get('world', 1)
    step = 12 // (world * saved.get(BATCH, 2))  # of an epoch
    stop = step if place == 'boundary' else step * 2 // 3
    keep = 'default_hooks.checkpoint.'
    folders, before = ranks({
        f'{keep}interval': step // 3,
        f'{keep}max_keep_ckpts': -1,
        **saved
    })
    path = folders[0] / f'iter_{stop}.pth'
    present = {f'{keep}interval': 99, **present}
    if name == 'order of the videos' and place == 'inside':
        with pytest.raises(ValueError, match='order of the videos.*b.mp4'):
            ranks(present, path)
        return
    _, after = ranks(present, path)
    _, plan = ranks(present)
    before = {i: record for i, record in before.items() if i < stop}
    first = stop * 12 // step // len(plan[0]['clips'])
    assert sorted(after) == list(range(first, max(plan) + 1))
    for number, record in after.items():
        expected = plan[number]
        assert record['rate'] == pytest.approx(expected['rate'], rel=1e-12)
        assert record['decay'] == pytest.approx(expected['decay'], rel=1e-12)
        assert record.get('momentum') == expected.get('momentum')
        assert record['clips'] == expected['clips']
    for epoch in (0, 1):
        clips = [
            clip for records in (before, after) for record in records.values()
            if record['epoch'] == epoch for clip in record['clips']
        ]
        assert len(clips) == len(set(clips)) == 12


def test_clips_that_come_again_are_counted(tmp_path, videos, capsys):
    """Three batches of 2 are one of 5, and one clip more."""
    train(tmp_path / 'run', videos, 3)
    after, _ = train(
        tmp_path / 'run',
        videos,
        resume=tmp_path / 'run/iter_3.pth',
        **{'train_dataloader.batch_size': 5})
    assert min(after) == 1
    log, = [
        line for path in (tmp_path / 'run').glob('*/*.log')
        for line in path.read_text().splitlines() if 'come again' in line
    ]
    assert 'iteration 3 of the saved plan is iteration 1' in log
    assert '; 1 clip of this epoch will come again' in log


REFUSED = {
    'P': ({
        'model.neck.out_channels': 16,
        'model.loss.out_channels': 16
    }, r'last_layer.*saved \(.*32.* present \(.*16'),
    'objects': ({
        'model.head.num_objects': 3
    }, 'model.head.num_objects: saved 2, present 3'),
    'reading': ({
        'model.mask.mode': 'batch'
    }, 'model.mask.mode: saved nothing, present batch'),
    'layers': ({
        'model.backbone.arch.num_layers': 2
    }, r'layers\.2\..* present nothing'),
    'optimiser': ({
        'optim_wrapper.optimizer.type': 'SGD'
    }, 'optimizer.type: saved AdamW, present SGD'),
    'fewer epochs': ({
        'train_cfg.max_epochs': 1,
        'param_scheduler.0.warmup': 0
    }, '1 and more trained, present train_cfg.max_epochs 1'),
}


@pytest.fixture(scope='module')
def saved(videos, tmp_path_factory):
    """A run that was killed in its second epoch: its folder."""
    folder = tmp_path_factory.mktemp('saved') / 'run'
    train(folder, videos, 8)
    return folder


@pytest.mark.parametrize('name', REFUSED)
def test_refused(videos, saved, name):
    change, message = REFUSED[name]
    files = {p: p.read_bytes() for p in saved.glob('*.pth')}
    with pytest.raises(ValueError, match=message) as error:
        train(saved, videos, resume=saved / 'iter_8.pth', **change)
    assert 'iter_8.pth must fit' in str(error.value)
    assert files == {p: p.read_bytes() for p in saved.glob('*.pth')}


def test_videos_are_compared_by_content(tmp_path, videos, saved):
    resume = saved / 'iter_8.pth'
    moved = tmp_path / 'moved'
    moved.mkdir()
    paths = [shutil.copy(video, moved) for video in videos]
    after, _ = train(tmp_path / 'run', paths, 9, resume=resume)
    assert min(after) == 8
    (moved / 'a.mp4').write_bytes(b'a.mp3' * 99)  # as long
    with pytest.raises(ValueError, match='videos .*a.mp4'):
        train(tmp_path / 'run', paths, resume=resume)


@pytest.mark.parametrize(('spoil', 'message'), [
    (lambda c: c.pop('optimizer'), 'optimizer: saved nothing'),
    (lambda c: c['state_dict'].popitem(), 'present nothing|saved nothing'),
    (lambda c: c['state_dict'].update(extra=torch.ones(2)),
     r'extra: saved \(2,\), present nothing'),
    (lambda c: c['optimizer']['state'][3].update(exp_avg=torch.ones(7)),
     r'state.3.exp_avg: saved \(7,\)'),
    (lambda c: c['optimizer']['state'][3].update(exp_avg='text'),
     r'state.3.exp_avg: saved str'),
    (lambda c: c['meta'].pop('iter'), 'meta.iter: saved None'),
    (lambda c: next(iter(c['state_dict'].values())).fill_(math.nan),
     'saved not finite'),
    (lambda c: c['optimizer']['param_groups'][0].update(lr=math.nan),
     'param_groups.0.lr: saved not finite'),
    (lambda c: c['optimizer']['param_groups'][1].update(maximize=True),
     'param_groups.1.maximize: saved True, present False'),
    (lambda c: c['optimizer']['param_groups'][0].update(eps=torch.ones(3)),
     'param_groups.0.eps: saved tensor'),
    (lambda c: c['optimizer'].update(base_param_settings=[]),
     'base_param_settings: saved list'),
    (lambda c: c['param_schedulers'][0].update(end=3),
     'param_schedulers.0.end: saved 3, present'),
    (lambda c: c['param_schedulers'][0].pop('last_step'),
     'param_schedulers.0.last_step: saved nothing, present'),
    (lambda c: c['param_schedulers'].pop(), 'param_schedulers: saved 1'),
])
def test_damaged_contents_are_refused(tmp_path, videos, saved, spoil, message):
    """A segmentation fault, or random parts that are trained, before."""
    path = tmp_path / 'iter_8.pth'
    checkpoint = torch.load(saved / path.name, weights_only=False)
    spoil(checkpoint)
    torch.save(checkpoint, path)
    with pytest.raises(ValueError, match=message):
        train(tmp_path / 'run', videos, resume=path)


def test_scaled_rate_falls(tmp_path, videos):
    """Half the batch: base and end of the curve are halved."""
    records, _ = train(tmp_path / 'run', videos,
                       **{'auto_scale_lr.enable': True})
    rates = [record['rate'][0] for record in records.values()]
    for step in range(6, 12):
        cosine = (1 + math.cos(math.pi * (step - 6) / 6)) / 2
        expected = (1e-5 + (1e-3 - 1e-5) * cosine) / 2
        assert rates[step] == pytest.approx(expected)
