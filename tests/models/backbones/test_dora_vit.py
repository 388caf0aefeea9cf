import copy

import pytest
import torch
from mmpretrain.models import VisionTransformer

from dora_mm.models import DoRAViT

ARCH = dict(embed_dims=48, num_layers=3, num_heads=4, feedforward_channels=96)


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    backbone = DoRAViT(ARCH, img_size=32, patch_size=8, out_type='raw')
    backbone.init_weights()
    for param in backbone.parameters():
        torch.nn.init.normal_(param, std=0.2)
    return backbone


@pytest.mark.parametrize('size', [(32, 32), (16, 48)])
def test_weights_and_features_are_those_of_the_stock_class(backbone, size):
    stock = VisionTransformer(ARCH, img_size=32, patch_size=8, out_type='raw')
    stock.load_state_dict(backbone.state_dict(), strict=True)
    images = torch.randn(2, 3, *size)
    torch.testing.assert_close(backbone.eval()(images)[-1],
                               _eval(stock)(images)[-1])


def test_dino_and_size_interpolation_agree_only_at_the_trained_size(backbone):
    backbone.eval()
    dino = DoRAViT(
        ARCH, img_size=32, patch_size=8, out_type='raw', pos_interp='dino')
    dino.load_state_dict(backbone.state_dict())
    dino.eval()
    large, small = torch.randn(1, 3, 32, 32), torch.randn(1, 3, 16, 16)
    assert torch.equal(backbone(large)[-1], dino(large)[-1])
    assert not torch.allclose(backbone(small)[-1], dino(small)[-1], rtol=1e-3)


@pytest.mark.parametrize('layer', [-2, 2])
@pytest.mark.parametrize('feature', ['attention', 'final'])
def test_track_features_against_one_frame_at_a_time(backbone, layer, feature):
    """Frame by frame, head by head, the attention matrix written out."""
    backbone.eval()
    clips = torch.randn(2, 3, 3, 32, 16)
    feats = backbone.forward_track(clips, layer, feature)
    target = backbone.layers[layer]
    head_dims = 48 // 4
    for b in range(2):
        for t in range(3):
            x, _ = backbone._embed(clips[b, t][None])
            for module in backbone.layers:
                if module is target:
                    qkv = target.attn.qkv(target.ln1(x))[0]
                    attn_out = target.attn(target.ln1(x))[0]
                x = module(x)
            x = backbone.ln1(x)[0]
            query, key, _ = qkv.split(48, dim=-1)
            torch.testing.assert_close(feats.cls_token[b, t], x[0])
            torch.testing.assert_close(feats.key[b, t], key[1:])
            if t > 0:
                continue
            torch.testing.assert_close(feats.query[b], query[1:])
            tokens = x if feature == 'final' else attn_out
            torch.testing.assert_close(feats.patch_tokens[b], tokens[1:])
            for h in range(4):
                part = slice(h * head_dims, (h + 1) * head_dims)
                row = query[0, part] @ key[:, part].T / head_dims**0.5
                torch.testing.assert_close(feats.cls_attn[b, h],
                                           row.softmax(0)[1:])


def features_and_gradients(backbone, function):
    """And those of every parameter, for a fixed direction of the output."""
    out = function()
    weight = torch.linspace(-1, 1, out.numel(), dtype=out.dtype)
    grads = torch.autograd.grad((out * weight.view(out.shape)).sum(),
                                [*backbone.parameters()])
    return out, *grads


def masked_images():
    """(V, M) images, masks of K objects that hide 0 to N patches."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 3, 32, 16, generator=generator)
    masks = torch.rand(2, 2, 3, 4, 2, generator=generator)
    masks = masks > torch.linspace(-0.1, 1., 12).view(2, 2, 3, 1, 1)
    assert len(masks.flatten(3).sum(-1).unique()) > 4
    return images.double(), masks.double()


def mask_pixels(images, masks):
    pixels = masks.repeat_interleave(8, -1).repeat_interleave(8, -2)
    return images * pixels[..., None, :, :]


def forward_of_masked_images(backbone):
    images, masks = masked_images()
    copies = mask_pixels(images[:, None], masks)  # (V, K, M, 3, h, w)
    return backbone(copies.flatten(0, 2))[-1]


@pytest.mark.parametrize('mask_images', [None, mask_pixels])
def test_masked_patches_are_patches_of_masked_images(backbone, mask_images):
    backbone.double()
    backbone.out_type = 'cls_token'

    def forward_masked():
        return backbone.forward_masked(
            *masked_images(), mask_images=mask_images)[-1]

    for ours, expected in zip(
            features_and_gradients(backbone, forward_masked),
            features_and_gradients(
                backbone, lambda: forward_of_masked_images(backbone))):
        torch.testing.assert_close(ours, expected)


def test_dropped_patches_are_as_if_never_there(backbone):
    """One image after the other, of its own length, without padding."""
    backbone.double()
    backbone.out_type = 'cls_token'
    images, masks = masked_images()

    def one_by_one():
        rows = []
        for v in range(2):
            for k in range(2):
                for m in range(3):
                    x, _ = backbone._embed(images[v, m][None])
                    keep = masks[v, k, m].flatten() > 0
                    x = x[:, [0, *(1 + keep.nonzero()[:, 0]).tolist()]]
                    for layer in backbone.layers:
                        x = layer(x)
                    rows.append(backbone.ln1(x)[0, 0])
        return torch.stack(rows)

    for ours, expected in zip(
            features_and_gradients(
                backbone, lambda: backbone.forward_masked(
                    images, masks, drop_hidden=True)[-1]),
            features_and_gradients(backbone, one_by_one)):
        torch.testing.assert_close(ours, expected)


def test_dropping_patches_needs_cls_output(backbone):
    with pytest.raises(ValueError, match="cls_token.*'raw'"):
        backbone.forward_masked(*masked_images(), drop_hidden=True)


def test_checkpointing_changes_memory_only():
    """Also what drop path draws stays the same."""
    torch.manual_seed(0)
    plain = DoRAViT(ARCH, img_size=32, patch_size=8, drop_path_rate=0.5)
    plain.init_weights()
    checkpointed = copy.deepcopy(plain)
    checkpointed.with_cp = True
    images = torch.randn(4, 3, 32, 32)
    results, kept = [], []
    for backbone in (plain.train(), checkpointed.train()):
        storages = {}

        def pack(tensor):
            storages[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        def forward():
            torch.manual_seed(1)
            with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
                return backbone(images)[-1]

        results.append(features_and_gradients(backbone, forward))
        shared = {p.untyped_storage().data_ptr() for p in plain.parameters()}
        shared |= {
            p.untyped_storage().data_ptr()
            for p in checkpointed.parameters()
        }
        kept.append(
            sum(tensor.untyped_storage().nbytes()
                for pointer, tensor in storages.items()
                if pointer not in shared))
    for ours, expected in zip(*results):
        torch.testing.assert_close(ours, expected)
    assert kept[1] < 0.4 * kept[0], kept


def test_autocast_does_not_round_the_attention_of_the_tracker():
    query, key = torch.randn(2, 1, 4, 9, 12)
    expected = DoRAViT._cls_attention(query, key)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(DoRAViT._cls_attention(query, key), expected)


def test_frozen_stages_stay_in_eval():
    """mmpretrain switches drop path of frozen layers back on in train()."""
    backbone = DoRAViT(
        ARCH, img_size=32, patch_size=8, frozen_stages=3, drop_path_rate=0.9)
    assert backbone.train() is backbone and backbone.eval() is backbone
    backbone.train()
    assert not any(layer.training for layer in backbone.layers)
    assert not any(p.requires_grad for p in backbone.parameters())
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(backbone(images)[0], backbone(images)[0])


@pytest.mark.parametrize('kwargs, word', [
    (dict(track_layer=3), 'track_layer'),
    (dict(patch_feature='keys'), 'patch_feature'),
])
def test_bad_track_arguments(backbone, kwargs, word):
    with pytest.raises(ValueError, match=word):
        backbone.forward_track(torch.zeros(1, 1, 3, 32, 32), **kwargs)


def test_bad_settings():
    with pytest.raises(ValueError, match='drop_path_rate must be .* got 2'):
        DoRAViT(ARCH, drop_path_rate=2)
    with pytest.raises(ValueError, match='bilinear'):
        DoRAViT(ARCH, pos_interp='bilinear')


def test_dino_interpolation_needs_a_square_grid():
    backbone = DoRAViT(
        ARCH, img_size=(32, 16), patch_size=8, pos_interp='dino')
    with pytest.raises(ValueError, match='square'):
        backbone(torch.zeros(1, 3, 32, 32))


def _eval(module):
    module.eval()
    return module


def test_norm_each_output_is_the_final_norm_of_every_raw_output():
    torch.manual_seed(0)
    kwargs = dict(img_size=32, patch_size=8, out_indices=[0, 1, 2])
    normed = DoRAViT(ARCH, norm_each_output=True, out_type='raw', **kwargs)
    for param in normed.parameters():
        torch.nn.init.normal_(param, std=0.2)
    plain = DoRAViT(ARCH, final_norm=False, out_type='raw', **kwargs)
    plain.load_state_dict(normed.state_dict(), strict=False)
    images = torch.randn(2, 3, 32, 32)
    levels = plain.eval()(images)
    assert len(levels) == 3
    for found, raw in zip(normed.eval()(images), levels):
        centred = raw - raw.mean(-1, keepdim=True)
        scaled = centred / (centred.pow(2).mean(-1, keepdim=True) +
                            1e-6).sqrt()
        torch.testing.assert_close(
            found, scaled * normed.ln1.weight + normed.ln1.bias)
    with pytest.raises(ValueError, match='norm_each_output'):
        DoRAViT(ARCH, final_norm=False, norm_each_output=True)


def test_position_embeddings_are_resized_to_a_grid_that_is_not_square():
    """A plane, linear in row and column, stays one away from the border."""
    model = DoRAViT(ARCH, img_size=(64, 96), patch_size=8)
    state = DoRAViT(ARCH, img_size=32, patch_size=8).state_dict()
    rows, columns = torch.meshgrid(
        torch.arange(4.), torch.arange(4.), indexing='ij')
    state['pos_embed'][0, 1:, 0] = (2 * rows + 7 * columns).flatten()
    model.load_state_dict(state, strict=True)
    grid = model.pos_embed[0, 1:, 0].unflatten(0, (8, 12)).detach()
    # Pixel centres: row r of 8 lies at (r + 0.5) / 2 - 0.5 of 4.
    expected = 2 * ((torch.arange(8.) + 0.5) / 2 - 0.5)[:, None] + 7 * (
        (torch.arange(12.) + 0.5) / 3 - 0.5)
    # The bicubic kernel with -0.75 is not exact on planes, its error is small.
    inner = (slice(3, 5), slice(4, 8))
    torch.testing.assert_close(grid[inner], expected[inner], rtol=0, atol=0.4)


def test_weights_of_another_width_are_refused(backbone, tmp_path):
    """As the host loads them: mmengine would warn and train on."""
    torch.save(dict(state_dict=backbone.state_dict()), tmp_path / 'a.pth')
    wide = DoRAViT(
        dict(ARCH, embed_dims=64),
        img_size=32,
        patch_size=8,
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth')))
    with pytest.raises(ValueError, match=r'cls_token \(1, 1, 48\) and not '
                       r'\(1, 1, 64\): set arch'):  # yapf: disable
        wide.init_weights()


def test_embeddings_of_another_grid_that_is_not_square_are_refused():
    state = DoRAViT(ARCH, img_size=(16, 48), patch_size=8).state_dict()
    with pytest.raises(ValueError, match=r'12 patch positions.*4 x 4'):
        # a plain dict does not say its grid
        DoRAViT(
            ARCH, img_size=32, patch_size=8).load_state_dict(dict(state))
    same = DoRAViT(ARCH, img_size=(16, 48), patch_size=8)
    same.load_state_dict(state, strict=True)
    assert torch.equal(same.pos_embed, state['pos_embed'])
