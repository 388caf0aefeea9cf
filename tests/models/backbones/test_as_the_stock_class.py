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
    'layers.2.ffn.layers.0.0', 'layers.2.ffn.layers.1', 'ln1'
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


def test_an_export_takes_any_number_of_images(models, images):
    ours, stock = models
    exported = torch.export.export(
        ours, (images[:2], ),
        dynamic_shapes=({0: torch.export.Dim('batch')}, )).module()
    torch.testing.assert_close(exported(images)[0], stock(images)[0])


def _replace(model, part, kind):
    parent, _, name = part.rpartition('.')
    model.get_submodule(parent)._modules[name] = kind(
        model.get_submodule(part))
    return model
