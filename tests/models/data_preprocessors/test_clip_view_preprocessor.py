import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from mmengine.config import Config
from mmpretrain.structures import DataSample
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import InterpolationMode

from dora_mm.models.data_preprocessors import (ClipViewPreprocessor,
                                               clip_view_preprocessor)
from dora_mm.models.data_preprocessors.views.batched_views import batched_views
from dora_mm.models.data_preprocessors.views.per_image_views import \
    per_image_views
from dora_mm.models.utils.fused_function import FusedFunction
from dora_mm.registry import MODELS

SIZE, T = 48, 3
SMALL = dict(global_views=dict(size=32), local_views=dict(size=20, num=3))
NO_COLOR = dict(
    global_views=dict(blur_prob=0.0),
    local_views=dict(blur_prob=0.0),
    color_jitter=dict(prob=0.0),
    gray_prob=0.0)
MEAN = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1) / 255
STD = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1) / 255

# Largest and mean error, of 255, on white noise. There a cubic overshoots by
# far, which 8 bits cut off between the axes and floats only at the end.
TOLERANCE = {per_image_views: (25, 0.75), batched_views: (1e-2, 1e-3)}


@pytest.fixture(params=[per_image_views, batched_views])
def views_function(request, monkeypatch):
    """Run a test on the CPU's path, then on the accelerator's."""
    monkeypatch.setattr(clip_view_preprocessor, 'per_image_views',
                        request.param)
    return request.param


either_path = pytest.mark.usefixtures('views_function')


def _clips(num=2, still=False):
    generator = torch.Generator().manual_seed(0)
    clips = torch.randint(
        256, (num, T, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    if still:
        clips[:] = clips[:, :1].clone()
    return clips


def _batch(clips, seeds):
    samples = [DataSample(metainfo=dict(seed=seed)) for seed in seeds]
    return dict(inputs=clips, data_samples=samples)


def _merge(*settings):
    """Settings with those of later dicts put into the groups."""
    merged = Config(dict(SMALL))
    for more in settings:
        merged.merge_from_dict(more)
    return merged.to_dict()


def _views(clips, seeds, *settings):
    preprocessor = ClipViewPreprocessor(**_merge(*settings))
    return preprocessor(_batch(clips, seeds))['inputs']


def _assert_close(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


@either_path
def test_shapes_and_data_samples():
    preprocessor = MODELS.build(
        dict(type='dora_mm.ClipViewPreprocessor', **SMALL))
    batch = _batch(_clips(), [1, 2])
    out = preprocessor(batch, training=True)
    assert [s.seed for s in out['data_samples']] == [1, 2]
    views = out['inputs']
    assert set(views) == {'global_clips', 'local_clips'}
    assert views['global_clips'].shape == (2, 2, T, 3, 32, 32)
    assert views['local_clips'].shape == (3, 2, T, 3, 20, 20)
    assert all(v.dtype == torch.float32 for v in views.values())
    assert not preprocessor.state_dict()  # nothing to carry in checkpoints


@either_path
def test_no_local_views():
    views = _views(_clips(), [1, 2], {'local_views.num': 0})
    assert views['local_clips'].shape == (0, 2, T, 3, 20, 20)
    _assert_close(views['global_clips'],
                  _views(_clips(), [1, 2])['global_clips'])


@pytest.mark.parametrize('photometric', ['frame', 'clip'])
def test_equals_torchvision_frame_by_frame(photometric, views_function):
    preprocessor = ClipViewPreprocessor(
        **_merge({
            'local_views.flip_prob': 0.5,
            'photometric': photometric
        }))
    clips, seeds = _clips(), [11, 2**62 + 5]
    views = preprocessor(_batch(clips, seeds))['inputs']
    for group in (preprocessor.global_views, preprocessor.local_views):
        boxes, flips, params, *_ = group.draw(seeds, T, SIZE, SIZE)
        for n, (v, b, t) in enumerate(np.ndindex(group.num, 2, T)):
            shared = min(t, boxes.shape[2] - 1)
            image = F.resized_crop(
                clips[b, t].float() / 255,
                *boxes[v, b, shared].tolist(), [group.size] * 2,
                interpolation=InterpolationMode(group.interpolation),
                antialias=True).clamp(0, 1)
            if flips[v, b, shared]:
                image = F.horizontal_flip(image)
            if params.jitter[n]:
                for op in params.order[n]:
                    adjust = (F.adjust_brightness, F.adjust_contrast,
                              F.adjust_saturation, F.adjust_hue)[op]
                    image = adjust(image, params.factors[n, op])
            if params.gray[n]:
                image = F.rgb_to_grayscale(image, 3)
            if params.blur[n]:
                image = F.gaussian_blur(image, [17] * 2, [params.sigma[n]] * 2)
            view = views[f'{group.prefix}_clips'][v, b, t] * STD + MEAN
            gap = (view - image).abs() * 255
            largest, mean = TOLERANCE[views_function]
            assert gap.max() < largest and gap.mean() < mean


@either_path
@pytest.mark.parametrize('photometric', ['frame', 'clip'])
@pytest.mark.parametrize('local_boxes', ['frame', 'clip'])
def test_what_is_shared_by_the_frames_of_a_clip(photometric, local_boxes):
    """In a still clip the frames of a view differ just where drawn anew."""
    clips = _clips(still=True)
    color = {'color_jitter.prob': 1.0, 'photometric': photometric}
    for settings, new_color in ((NO_COLOR, False), (color,
                                                    photometric == 'frame')):
        views = _views(clips, [3, 4], {'local_views.boxes': local_boxes},
                       settings)
        for name, new_box in (('global_clips', False),
                              ('local_clips', local_boxes == 'frame')):
            gap = views[name] - views[name][:, :, :1]
            gap = gap.abs().flatten(3).amax(-1)  # (V, B, T)
            if new_box or new_color:
                assert (gap[:, :, 1:] > 1e-2).all()
            else:
                assert gap.max() < 1e-5


@either_path
def test_clip_mode_takes_the_draws_of_the_first_frame():
    frame = _views(_clips(), [3, 4])
    clip = _views(_clips(), [3, 4], {
        'photometric': 'clip',
        'local_views.boxes': 'clip'
    })
    for name in frame:
        _assert_close(frame[name][:, :, 0], clip[name][:, :, 0])


def test_views_do_not_depend_on_the_batch(views_function):
    clips = _clips(4)
    seeds = [7, 2**63 - 1, 9, 7 + 2**32]
    together = _views(clips, seeds)
    backwards = _views(clips.flip(0), seeds[::-1])
    # A product of matrices may add up in another order in another batch.
    exact = views_function is per_image_views
    atol = 0 if exact else 1e-5
    for i, seed in enumerate(seeds):
        alone = _views(clips[i:i + 1], [seed])
        for name, expected in alone.items():
            for views in (together[name][:, i], backwards[name][:, 3 - i]):
                torch.testing.assert_close(
                    views, expected[:, 0], rtol=0, atol=atol)


@either_path
def test_another_view_leaves_the_others_alone():
    two = _views(_clips(), [7, 8])
    more = _views(_clips(), [7, 8], {
        'global_views.num': 3,
        'local_views.num': 5
    })
    _assert_close(more['global_clips'][:2], two['global_clips'])
    _assert_close(more['local_clips'][:3], two['local_clips'])


@either_path
def test_views_differ_by_seed_view_and_clip():
    still = _clips(1).expand(3, -1, -1, -1, -1)
    # torch's CPU generator would give the first and the last the same views.
    views = _views(still, [1, 2, 1 + 2**32], NO_COLOR)
    for clips in views.values():
        flat = clips.flatten(0, 1).flatten(1)
        gap = (flat[:, None] - flat[None]).abs().amax(-1)
        assert (gap + torch.eye(len(gap)) > 1e-2).all()


def test_without_data_samples_the_global_generator_decides():
    preprocessor = ClipViewPreprocessor(**SMALL)

    def run(seed):
        torch.manual_seed(seed)
        out = preprocessor(dict(inputs=_clips()))
        assert out['data_samples'] is None
        return out['inputs']['global_clips']

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))


@either_path
def test_flip_probability():
    ramp = torch.arange(0, 240, 5, dtype=torch.uint8)
    num = 400
    clips = ramp.expand(num, 2, 3, SIZE, SIZE)
    settings = dict(
        NO_COLOR,
        global_views=dict(size=8, blur_prob=0.0),
        local_views=dict(size=8, num=2, blur_prob=0.0))
    views = _views(clips, range(num), settings, {
        'global_views.flip_prob': 0.3,
        'local_views.flip_prob': 0.7
    })
    for name, prob in (('global_clips', 0.3), ('local_clips', 0.7)):
        flipped = views[name][..., 0] > views[name][..., -1]
        flipped = flipped.flatten(3).float().mean(-1)  # (V, B, T): 0 or 1
        assert abs(flipped.mean() - prob) < 0.08  # 5 errors of 800 draws
        both = (flipped[:, :, 0] == flipped[:, :, 1]).float().mean()
        assert both == 1 if name == 'global_clips' else 0.45 < both < 0.7
    default = _views(clips, range(num), settings)['local_clips']
    assert (default[..., 0] < default[..., -1]).all()


@either_path
def test_probabilities_per_global_view():
    """DINO's asymmetric views: blur in the first, solarise in the second."""
    plain = _views(_clips(), [1, 2], NO_COLOR)['global_clips']
    views = _views(
        _clips(), [1, 2], NO_COLOR, {
            'global_views.blur_prob': (1.0, 0.0),
            'global_views.solarize_prob': [0.0, 1.0]
        })['global_clips']
    plain, views = plain * STD + MEAN, views * STD + MEAN
    solarized = torch.where(plain[1] >= 0.5, 1 - plain[1], plain[1])
    sure = (plain[1] - 0.5).abs() > 1e-4
    _assert_close(views[1][sure], solarized[sure])

    def roughness(x):
        return x.diff(dim=-1).abs().flatten(2).mean(-1)

    gain = roughness(views[0]) / roughness(plain[0])
    assert (gain < 1).all() and gain.mean() < 0.7


@either_path
def test_autocast_does_not_cost_precision():
    expected = _views(_clips(), [1, 2])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        views = _views(_clips(), [1, 2])
    for name in views:
        assert views[name].dtype == torch.float32
        assert torch.equal(views[name], expected[name])


def test_no_value_is_read_back_from_an_accelerator():
    """Meta tensors have no values: reading one (.item, nonzero) raises."""
    settings = _merge({
        'color_jitter.prob': 1.0,
        'gray_prob': 0.5,
        'global_views.solarize_prob': 0.5
    })
    preprocessor = ClipViewPreprocessor(**settings).to('meta')
    clips = _clips().to('meta')
    for group, shape in ((preprocessor.global_views, (2, 2, T, 3, 32, 32)),
                         (preprocessor.local_views, (3, 2, T, 3, 20, 20))):
        views = preprocessor._make_views(clips, [1, 2], group)
        assert views.shape == shape and views.device.type == 'meta'
    with pytest.raises(RuntimeError, match='meta'):
        views.sum().item()
    with pytest.raises(NotImplementedError, match='nonzero'):
        views.nonzero()


class _Launches(TorchDispatchMode):
    """Counts operations that a device would launch kernels for."""

    def __init__(self):
        super().__init__()
        self.num = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name
        # Views of memory, empty memory, and numbers of the host.
        self.num += not (func.is_view or 'empty' in name
                         or name in ('aten::_unsafe_view', 'aten::lift_fresh',
                                     'aten::scalar_tensor'))
        return func(*args, **(kwargs or {}))


def test_number_of_launches(monkeypatch):
    """Besides functions that a compiler makes into a few: it was 596, then
    319, with an operation at a time; the host's time follows it."""
    preprocessor = ClipViewPreprocessor().to('meta')
    clips = torch.empty(32, 8, 3, 300, 300, dtype=torch.uint8, device='meta')
    fused = []

    def call(self, *args):
        before = launches.num
        out = self.function(*args)
        launches.num = before
        fused.append(self.function.__name__)
        return out

    def make():
        for group in (preprocessor.global_views, preprocessor.local_views):
            preprocessor._make_views(clips, range(32), group)

    make()  # and what is computed once for a size
    monkeypatch.setattr(FusedFunction, '__call__', call)
    with _Launches() as launches:
        make()
    assert fused == 2 * ['resampling_matrix', 'jitter', 'blur_matrix']
    assert 40 < launches.num <= 68


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda_equals_cpu_without_synchronising(monkeypatch):
    preprocessor = ClipViewPreprocessor(**SMALL).cuda()
    batch = _batch(_clips().pin_memory(), [1, 2])
    preprocessor(batch)  # libraries initialise with a synchronisation
    torch.cuda.set_sync_debug_mode('error')
    try:
        views = preprocessor(batch)['inputs']
    finally:
        torch.cuda.set_sync_debug_mode('default')
    monkeypatch.setattr(clip_view_preprocessor, 'per_image_views',
                        batched_views)
    for name, expected in _views(_clips(), [1, 2]).items():
        torch.testing.assert_close(
            views[name].cpu(), expected, rtol=0, atol=1e-2)


@pytest.mark.parametrize('name,value,message', [
    ('global_views.num', 0, 'at least 1, but got 0'),
    ('local_views.num', -1, 'at least 0, but got -1'),
    ('local_views.num', 2.5, 'integer.* got 2.5'),
    ('global_views.scale', (1.0, 0.4), r'got \(1.0, 0.4\)'),
    ('local_views.scale', (0.0, 0.4), r'got \(0.0, 0.4\)'),
    ('local_views.scale', (0.5, 1.4), r'got \(0.5, 1.4\)'),
    ('local_views.scale', 'all', "got 'all'"),
    ('aspect_ratio', (2, ), r'got \(2,\)'),
    ('blur_sigma', (0, 2.0), r'got \(0, 2.0\)'),
    ('blur_sigma', 2.0, 'got 2.0'),
    ('local_views.size', 8, '8 pixels.*got 8: enlarge'),
    ('global_views.size', 0, 'got 0'),
    ('global_views.size', '224', "integer.* got '224'"),
    ('global_views.flip_prob', 1.5, 'got 1.5'),
    ('gray_prob', -0.1, 'got -0.1'),
    ('gray_prob', None, 'got None'),
    ('color_jitter.prob', float('nan'), 'got nan'),
    ('global_views.blur_prob', (1.0, 0.1, 0.1), '2 views.*got .1.0'),
    ('global_views.solarize_prob', (0.0, 2.0), 'got 2.0'),
    ('color_jitter.contrast', -0.2, 'got -0.2'),
    ('color_jitter.hue', 0.6, r'\[0, 0.5\], but got 0.6'),
    ('photometric', 'video', "got 'video'"),
    ('local_views.boxes', 'both', "got 'both'"),
    ('global_views.interpolation', 'nearest', "got 'nearest'"),
    ('mean', (0.5, 0.5), r'got \(0.5, 0.5\)'),
    ('std', (1.0, 0.0, 1.0), r'got \(1.0, 0.0, 1.0\)'),
    ('std', (1.0, 'a', 1.0), r"got \(1.0, 'a', 1.0\)"),
    ('local_views', 2, r'got 2: write local_views=dict\(...\)'),
])
def test_bad_settings(name, value, message):
    group, _, key = name.partition('.')
    with pytest.raises(ValueError, match=f'^{name} must be .*{message}'):
        ClipViewPreprocessor(**{group: {key: value} if key else value})


@pytest.mark.parametrize('settings,given,nearest', [
    (dict(num_local_views=2), 'num_local_views', 'local_views.num'),
    (dict(global_size=96), 'global_size', 'global_views.size'),
    (dict(local_boxes='clip'), 'local_boxes', 'local_views.boxes'),
    (dict(brightness=0.1), 'brightness', 'color_jitter.brightness'),
    (dict(gray_probs=0.1), 'gray_probs', 'gray_prob'),
    (dict(local_views=dict(nums=2)), 'local_views.nums', 'local_views.num'),
    (dict(global_views=dict(boxes='clip')), 'global_views.boxes',
     'local_views.boxes'),
])
def test_unknown_settings_are_refused_with_the_nearest(settings, given,
                                                       nearest):
    message = f'^{given} .*did you mean {nearest}$'
    with pytest.raises(ValueError, match=message):
        ClipViewPreprocessor(**settings)


def test_options_of_the_command_line_change_one_key_of_a_group():
    cfg = Config(dict(model=dict(data_preprocessor=dict(SMALL))))
    cfg.merge_from_dict({'model.data_preprocessor.local_views.num': 2})
    views = ClipViewPreprocessor(**cfg.model.data_preprocessor)
    assert (views.local_views.num, views.local_views.size) == (2, 20)


@pytest.mark.parametrize('inputs,error,message', [
    (torch.zeros(2, T, 3, 8, 8), TypeError, 'inputs.*float32.*uint8'),
    ([_clips()[0]], TypeError, 'inputs.*list.*default_collate'),
    (_clips()[0], ValueError, r'inputs.*\(3, 3, 48, 48\)'),
    (_clips().movedim(2, -1), ValueError, r'inputs.*\(2, 3, 48, 48, 3\)'),
    (_clips().to('meta'), ValueError, 'inputs must be on the CPU.*meta: move'),
])
def test_bad_inputs(inputs, error, message):
    with pytest.raises(error, match=message):
        ClipViewPreprocessor(**SMALL)(dict(inputs=inputs))


@pytest.mark.parametrize('seeds,message', [
    ([1], 'data_samples.*2 clips, but got 1'),
    ([1, None], r'data_samples\[1\].seed.*None'),
    ([-3, 1], r'data_samples\[0\].seed.*-3'),
    ([0.5, 1], r'data_samples\[0\].seed.*0.5'),
])
def test_bad_seeds(seeds, message):
    with pytest.raises(ValueError, match=message):
        _views(_clips(), seeds)
