import pytest
import torch

from dora_mm.models.utils.control_masks import control_masks

V, B, T, K, H, W = 2, 3, 4, 2, 6, 8


@pytest.fixture
def masks():
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(V, B, T, K, H, W, generator=generator)
    # Of different coverage, full and empty ones among them.
    share = torch.linspace(-0.1, 1.1, V * B * T * K).view(V, B, T, K, 1, 1)
    return (drawn < share).float()


def test_other_clip_gives_each_clip_another_ones_masks(masks):
    found = control_masks(masks, 'other_clip')
    for v in range(V):
        for b in range(B):
            assert torch.equal(found[v, b], masks[v, b - 1])
    with pytest.raises(ValueError, match='batch_size must be at least 2'):
        control_masks(masks[:, :1], 'other_clip')


def test_first_frame_is_kept(masks):
    found = control_masks(masks, 'first_frame')
    assert found.shape == masks.shape
    for t in range(T):
        assert torch.equal(found[:, :, t], masks[:, :, 0])


def test_blocks_are_as_large_and_stay_in_place(masks):
    torch.manual_seed(0)
    found = control_masks(masks, 'blocks')
    assert torch.equal(found.sum((-2, -1)), masks.sum((-2, -1)))
    assert ((found == 0) | (found == 1)).all()
    flat = found.flatten(0, 1)  # (V * B, T, K, H, W)
    for clip in flat.unbind(0):
        for frames in clip.unbind(1):  # (T, H, W)
            sizes = frames.sum((1, 2)).argsort()
            for small, large in zip(sizes, sizes[1:]):
                assert (frames[small] <= frames[large]).all()
            for block in frames:  # no holes in a row or column
                for line in [*block, *block.T]:
                    edges = line.diff().abs().sum()
                    assert edges <= 2
    blocks = [block for block in flat[:, 1:-1].flatten(0, 2)]
    assert len({tuple(b.flatten().tolist()) for b in blocks}) > len(blocks) / 2
