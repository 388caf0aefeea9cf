import copy

import pytest
import torch
from mmpretrain.models.backbones.vision_transformer import \
    TransformerEncoderLayer

from dora_mm.models.backbones.lean_encoder_layer import LeanEncoderLayer

B, S, D = 3, 6, 16


def layers(**settings):
    """A stock layer and the same one made lean."""
    torch.manual_seed(0)
    stock = TransformerEncoderLayer(D, 4, 4 * D, **settings)
    for param in stock.parameters():
        torch.nn.init.normal_(param, std=0.3)
    return stock, LeanEncoderLayer.adopt(copy.deepcopy(stock))


def value_and_gradients(layer, function, x, seed=1):
    torch.manual_seed(seed)
    x = x.clone().requires_grad_()
    out = function(x)
    weight = torch.linspace(-1, 1, out.numel()).view(out.shape)
    params = [*layer.parameters()]
    return out, *torch.autograd.grad((out * weight).sum(), [x, *params])


@pytest.mark.parametrize(
    'settings', [
        {},
        dict(drop_rate=0.5, attn_drop_rate=0.5, drop_path_rate=0.5),
        dict(layer_scale_init_value=0.1),
        dict(qkv_bias=False),
        dict(ffn_type='swiglu_fused'),
    ],
    ids=str)
def test_equal_to_the_stock_layer(settings):
    """Also in what it draws, though some of it is computed twice."""
    stock, lean = layers(**settings)
    x = torch.randn(B, S, D)
    for ours, expected in zip(
            value_and_gradients(lean, lean, x),
            value_and_gradients(stock, stock, x)):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('qkv_bias', [True, False])
def test_cls_only_is_the_first_token(qkv_bias):
    stock, lean = layers(qkv_bias=qkv_bias)
    x = torch.randn(B, S, D)
    for ours, expected in zip(
            value_and_gradients(lean, lambda x: lean(x, True), x),
            value_and_gradients(stock, lambda x: stock(x)[:, :1], x)):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('cls_only', [False, True])
def test_padding_is_as_if_not_there(cls_only):
    stock, lean = layers()
    x = torch.randn(B, S, D)
    lengths = (1, 4, S)
    mask = torch.arange(S) < torch.tensor(lengths)[:, None]
    out = lean(x, cls_only, mask)
    for row, sequence, length in zip(out, x, lengths):
        expected = stock(sequence[None, :length])[0]
        if cls_only:
            expected = expected[:1]
        torch.testing.assert_close(row[:len(expected)], expected)


def test_keeps_ten_values_of_sixteen():
    stock, lean = layers()
    kept = {}
    for name, layer in (('stock', stock), ('lean', lean)):
        x = torch.randn(B, S, D, requires_grad=True)
        storages = {}

        def pack(tensor):
            storages[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            out = layer(x)
        shared = {p.untyped_storage().data_ptr() for p in layer.parameters()}
        kept[name] = sum(tensor.untyped_storage().nbytes() / 4 / x.numel()
                         for pointer, tensor in storages.items()
                         if pointer not in shared)
        del out
    # Beside them the statistics of norms and attention.
    assert 16 <= kept['stock'] < 17 and kept['lean'] < 11, kept


def test_compiled_in_bfloat16_it_is_the_layer_in_float32():
    """There GELU is a function of its own."""
    layer = LeanEncoderLayer.adopt(
        TransformerEncoderLayer(D, 4, 2 * D, qkv_bias=True)).train()
    for param in layer.parameters():
        torch.nn.init.normal_(param, std=0.2)
    x = torch.randn(2, 5, D, generator=torch.Generator().manual_seed(0))
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend='aot_eager', fullgraph=True)
    found = []
    for function in (layer, compiled):
        tokens = x.clone().requires_grad_()
        with torch.autocast('cpu', torch.bfloat16,
                            enabled=function is compiled):
            out = function(tokens)
        (out.float()**2).sum().backward()
        found.append((out.detach().float(), tokens.grad,
                      layer.ffn.layers[0][0].weight.grad))
        layer.zero_grad()
    for exact, ours in zip(*found):
        gap = (ours - exact).norm() / exact.norm()
        assert gap < 0.01


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('length', [50, 197])
def test_cuda_attention_of_any_length(length):
    layer = LeanEncoderLayer.adopt(
        TransformerEncoderLayer(384, 6, 1536, qkv_bias=True))
    x = torch.randn(4, length, 384)
    found = []
    for function, tokens in ((copy.deepcopy(layer).double(), x.double()),
                             (layer.cuda().bfloat16(), x.cuda().bfloat16())):
        tokens.requires_grad_()
        out = function(tokens)
        out.float().square().sum().backward()
        found.append((out.detach().double().cpu(),
                      tokens.grad.double().cpu()))
    for exact, ours in zip(*found):
        assert (ours - exact).norm() < 0.02 * exact.norm()
