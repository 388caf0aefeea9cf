"""Graphs of a step, counted by Dynamo itself, whatever the compiler."""
import pytest
import torch
import torch.distributed as dist
from tiny import build_model, views
from torch._dynamo.utils import counters
from torch.nn.parallel import DistributedDataParallel

from dora_mm.models.utils import layer_compiler, warn_of_failure

RELEASED = dict(
    track_layer=-1,
    patch_feature='final',
    head=dict(num_objects=2, normalize_tokens=True, plan_mass='patch'),
    mask=dict(mode='batch'))


@pytest.fixture(autouse=True)
def forget_graphs():
    torch._dynamo.reset()
    counters.clear()


def train_step(model, seed=0, scale=1.):
    losses = model(views(seed=seed), mode='loss')
    loss = sum(value for name, value in losses.items() if 'loss' in name)
    (scale * loss).backward()
    return loss.detach()


def count_graphs(model, steps=3):
    """After each step; there must be no break."""
    graphs = []
    for i in range(steps):
        train_step(model, i)
        graphs.append(counters['stats']['unique_graphs'])
    assert not counters['graph_break']
    return graphs


# Teacher, objects and local views, each of all tokens and of [CLS]; with the
# final tokens, as by default, the teacher's layers are all of all tokens.
@pytest.mark.parametrize('name, settings, expected', [
    ('DoRA', dict(backbone=dict(drop_path_rate=0.1)), 5),
    ('DoRA',
     dict(
         track_layer=-2,
         patch_feature='attention',
         backbone=dict(drop_path_rate=0.1)), 6),
    ('DoRA', dict(RELEASED, backbone=dict(with_cp=True, recompute=True)), 5),
    ('DoRA', dict(drop_hidden=True), 5),
    ('DINO', dict(backbone=dict(drop_path_rate=0.1)), 6),
],
                         ids=str)
def test_layers_share_graphs_and_never_compile_again(name, settings, expected):
    model = build_model(name, compile_layers=dict(backend='eager'), **settings)
    assert count_graphs(model) == [expected] * 3


def test_compiling_draws_no_random_numbers():
    """A run that is resumed compiles anew, and drew others of dropout."""
    losses = []
    for setting in (False, dict(backend='eager')):
        model = build_model(
            backbone=dict(drop_rate=0.2), compile_layers=setting)
        torch.manual_seed(7)
        model.seed_step(0)
        losses.append(train_step(model))
    assert torch.equal(*losses)


def test_ddp_does_not_split_layers(tmp_path):
    """Its own optimiser of graphs would, at the bounds of its buckets."""
    dist.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/join', rank=0, world_size=1)
    try:
        model = build_model(compile_layers=dict(backend='eager'))
        expected = train_step(build_model(compile_layers=False))
        wrapped = DistributedDataParallel(model, bucket_cap_mb=0.01)
        with wrapped.no_sync():  # gradients accumulate
            train_step(wrapped)
        loss = train_step(wrapped)
    finally:
        dist.destroy_process_group()
    torch.testing.assert_close(loss, expected, rtol=1e-2, atol=0)
    assert counters['stats']['unique_graphs'] == 5
    assert not counters['graph_break']


def test_only_training_steps_are_compiled():
    model = build_model(compile_layers=dict(backend='eager'))
    clips = views()['global_clips'].flatten(0, 1)
    train_step(model)
    counters.clear()
    with torch.no_grad():
        model.track(clips)
        model.eval().backbone(clips[0, :, :, :16])
    assert not counters['stats'] and not counters['frames']


def test_a_cpu_is_left_alone_by_default():
    model = build_model()
    train_step(model)
    assert not counters['stats']


def test_a_disabled_compiler_is_not_said_to_compile(monkeypatch):
    """A run with TORCH_COMPILE_DISABLE=1 logged that layers were compiled."""
    monkeypatch.setattr(layer_compiler, 'has_triton', lambda: True)
    assert layer_compiler.can_compile()
    for setting in (None, True):
        compiler = layer_compiler.LayerCompiler(setting)
        with torch._dynamo.config.patch(disable=True), \
                compiler.step(torch.device('cuda')):
            assert compiler.setting is False


def test_training_goes_on_where_compiling_fails(monkeypatch):
    said = []
    monkeypatch.setattr(warn_of_failure, 'print_log',
                        lambda message, *_, **__: said.append(message))

    def broken(*_):
        raise OSError('no C compiler')

    model = build_model(compile_layers=dict(backend=broken))
    losses = [train_step(model, i) for i in range(2)]
    plain = build_model(compile_layers=False)
    expected = [train_step(plain, i) for i in range(2)]
    torch.testing.assert_close(losses, expected)
    warning, = (text for text in said if 'goes on without it' in text)
    assert 'no C compiler' in warning


def test_a_backward_pass_that_fails_to_compile_is_found_in_time():
    from torch._dynamo.backends.common import aot_autograd
    from torch._functorch.compilers import nop

    def broken(*_):
        raise OSError('no C compiler')

    backend = aot_autograd(fw_compiler=nop, bw_compiler=broken)
    model = build_model(compile_layers=dict(backend=backend))
    expected = train_step(build_model(compile_layers=False))
    torch.testing.assert_close(train_step(model), expected)
    assert model.layer_compiler.setting is False


def test_settings():
    """A wrong backend showed in the first step, without its key."""
    for wrong in (dict(backend='nonsense'), dict(mode='none'), dict(x=1)):
        with pytest.raises(ValueError, match='^compile_layers must be arg'):
            layer_compiler.LayerCompiler(wrong)
    with pytest.raises(TypeError, match="compile_layers.*'max-autotune'"):
        layer_compiler.LayerCompiler('max-autotune')


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda_compiles_and_equals_eager():
    losses = []
    for setting in (False, None):
        model = build_model(compile_layers=setting).cuda()
        inputs = {name: clips.cuda() for name, clips in views().items()}
        model.seed_step(0)
        with torch.autocast('cuda', torch.bfloat16):
            parts = model.loss(inputs)
        loss = parts['loss_object'] + parts['loss_local']
        loss.backward()
        losses.append(loss.detach())
    assert model.layer_compiler.setting is True  # it did not give up
    torch.testing.assert_close(*losses, rtol=0.05, atol=0)
