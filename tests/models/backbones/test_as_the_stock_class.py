"""What users do to mmpretrain's ViT they may do to ours, with one result."""
import pytest
import torch
from mmpretrain.models import VisionTransformer
from torch import nn

from dora_mm.models import DoRAViT

ARCH = dict(embed_dims=48, num_layers=3, num_heads=4, feedforward_channels=96)
PARTS = [
    'patch_embed', 'patch_embed.projection', 'layers.0', 'layers.1.attn',
    'layers.1.ffn', 'layers.2', 'layers.2.ln1', 'layers.2.attn',
    'layers.2.attn.qkv', 'layers.2.attn.proj', 'layers.2.ln2', 'layers.2.ffn',
    'layers.2.ffn.layers.0.0', 'layers.2.ffn.layers.1', 'ln1',
    'layers.1.attn.out_drop', 'layers.2.ffn.layers', 'layers.1.ffn.layers.0',
    'layers.2.ffn.dropout_layer'
]


@pytest.fixture
def models():
    """Ours and the stock class, with the same weights."""
    torch.manual_seed(0)
    found = [kind(ARCH, img_size=32, patch_size=8)
             for kind in (DoRAViT, VisionTransformer)]
    for param in found[0].parameters():
        nn.init.normal_(param, std=0.2)
    found[1].load_state_dict(found[0].state_dict())
    for model in found:
        model.eval()
    return found


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 3, 32, 32, generator=generator)


@pytest.mark.parametrize('part', PARTS)
def test_hooks_see_what_the_stock_class_shows(models, images, part):
    """Hooks on layers, attention and MLP were never called."""
    seen = []
    for model in models:
        model.get_submodule(part).register_forward_hook(
            lambda module, inputs, output: seen.append(output))
        model(images)
    assert len(seen) == 2
    for ours, stock in zip(*(s if isinstance(s, tuple) else (s, )
                             for s in seen)):
        torch.testing.assert_close(ours, stock)


@pytest.mark.parametrize('part', ['layers.1', 'layers.2.attn', 'layers.2.ffn'])
def test_gradients_that_hooks_see(models, images, part):
    seen = []
    for model in models:
        model.get_submodule(part).register_full_backward_hook(
            lambda module, below, above: seen.append(above[0]))
        model(images)[0].pow(3).sum().backward()
    torch.testing.assert_close(*seen, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('part', PARTS)
def test_another_forward_is_called(models, images, part):
    """As it is put there to show attention maps; it was passed over."""
    plain = models[0](images)[0]
    for model in models:
        _patch(model.get_submodule(part))
    ours, stock = (model(images)[0] for model in models)
    torch.testing.assert_close(ours, stock, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(plain, ours, rtol=1e-2)


def test_another_attention_function_is_called(models, images):
    for model in models:
        for layer in model.layers:
            layer.attn.scaled_dot_product_attention = _no_attention
    ours, stock = (model(images)[0] for model in models)
    torch.testing.assert_close(ours, stock)


class Mixing(nn.Module):
    """An MLP that looks at other tokens, too."""

    def forward(self, x, identity):
        return identity + x.flip(1)


@pytest.mark.parametrize('part, kind', [
    ('layers.1', nn.Identity),
    ('layers.2.ln1', nn.Identity),
    ('ln1', nn.Identity),
    ('layers.0.ln2', lambda: nn.LayerNorm(48, elementwise_affine=False)),
    ('layers.2.ffn', Mixing),
    ('layers.2.ffn.layers', lambda: nn.Sequential(nn.Tanh())),
    ('layers.0.attn.out_drop', lambda: nn.Hardtanh(-0.1, 0.1)),
    ('layers.0.ffn.dropout_layer', lambda: nn.Hardtanh(-0.1, 0.1)),
])
def test_replaced_parts_are_called(models, images, part, kind):
    """Errors, a part of the model, or [CLS] without the other tokens."""
    ours, stock = (
        _replace(model, part, lambda module: kind())(images)[0]
        for model in models)
    torch.testing.assert_close(ours, stock, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('change', [
    lambda drop: setattr(drop, 'drop_prob', 0.),
    lambda drop: drop.eval(),
], ids=['rate', 'mode'])  # yapf: disable
def test_drop_path_is_what_its_modules_say(images, change):
    """Hooks that change the rate or the mode of the modules did nothing."""
    model = DoRAViT(ARCH, img_size=32, patch_size=8, drop_path_rate=0.9)
    expected = model.eval()(images)[0]
    model.train()
    assert not torch.allclose(model(images)[0], expected)
    for module in model.modules():
        if type(module).__name__ == 'DropPath':
            change(module)
    torch.testing.assert_close(model(images)[0], expected)


@pytest.mark.parametrize('settings', [
    dict(layer_cfgs=dict(act_cfg=dict(type='SiLU', inplace=True))),
    dict(layer_cfgs=dict(act_cfg=dict(type='ReLU', inplace=True))),
    dict(norm_cfg=dict(type='LN', elementwise_affine=False)),
])
def test_gradients_of_other_activations_and_norms(images, settings):
    """Both ended in an error of torch's."""
    ours, stock = (
        kind(ARCH, img_size=32, patch_size=8, **settings)
        for kind in (DoRAViT, VisionTransformer))
    for param in ours.parameters():
        nn.init.normal_(param, std=0.2)
    stock.load_state_dict(ours.state_dict())
    for model in (ours, stock):
        model(images)[0].sum().backward()
    for param, expected in zip(ours.parameters(), stock.parameters()):
        torch.testing.assert_close(
            param.grad, expected.grad, rtol=1e-4, atol=1e-5)


def test_gradients_of_each_image(models, images):
    """By torch.func, which cannot compute again."""

    def value(params, model, image):
        return torch.func.functional_call(model, params, (image[None], ))[0]

    ours, stock = (
        torch.func.vmap(
            torch.func.grad(lambda p, m, i: value(p, m, i).pow(2).sum()),
            in_dims=(None, None, 0))(dict(model.named_parameters()), model,
                                     images) for model in models)
    for name, expected in stock.items():
        torch.testing.assert_close(
            ours[name], expected, rtol=1e-3, atol=1e-4, msg=name)


class Adapted(nn.Module):
    """A layer and a change of rank 1; its weights are those of the layer, as
    in Hugging Face's PEFT."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x):
        out = self.layer(x)
        return out + self.scale * out.flip(-1)


@pytest.mark.parametrize('part', [
    'patch_embed.projection', 'layers.0.attn.qkv', 'layers.2.attn.qkv',
    'layers.2.attn.proj', 'layers.2.ffn.layers.0.0', 'layers.2.ffn.layers.1'
])
def test_adapted_layers_are_called(models, images, part):
    """That of the last layer was passed over, or ended in an error."""
    plain, *found = models[0](images)[0], *(
        _replace(model, part, Adapted)(images)[0] for model in models)
    torch.testing.assert_close(*found)
    assert not torch.allclose(plain, found[0], rtol=1e-2)


def test_weights_in_int8(models, images):
    """Where a number lies between two of int8, it may become either."""
    for model in models:
        model.out_type = 'raw'  # steps of int8 depend on all tokens
    plain = models[0](images)[0]
    ours, stock = (
        torch.ao.quantization.quantize_dynamic(model, {nn.Linear})(images)[0]
        for model in models)
    lost = (stock - plain).abs().mean()
    assert (ours - stock).abs().mean() < lost / 5


def test_a_trace_takes_any_number_of_images(models, images):
    """It took as many as it was made with, or differed from call to call."""
    ours, stock = models
    traced = torch.jit.trace(ours, images[:2])
    torch.testing.assert_close(traced(images)[0], stock(images)[0])


@pytest.mark.skipif(
    torch.__version__ < '2.6',
    reason='its export does not take the stock class either')
def test_an_export_takes_any_number_of_images(models, images):
    ours, stock = models
    exported = torch.export.export(
        ours, (images[:2], ),
        dynamic_shapes=({0: torch.export.Dim('batch')}, )).module()
    torch.testing.assert_close(exported(images)[0], stock(images)[0])


def _patch(module):
    forward = module.forward

    def negative(*args, **kwargs):
        out = forward(*args, **kwargs)
        return (-out[0], *out[1:]) if isinstance(out, tuple) else -out

    module.forward = negative


def _no_attention(query, key, value, dropout_p):
    return 2 * value


def _replace(model, part, kind):
    parent, _, name = part.rpartition('.')
    model.get_submodule(parent)._modules[name] = kind(
        model.get_submodule(part))
    return model
