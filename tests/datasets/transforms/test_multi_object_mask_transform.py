import pytest
import torch

from dora_mm.datasets.transforms import MultiObjectMaskTransform

B, T, K, GRID, PATCH = 2, 3, 2, (3, 4), 8


def inputs(seed=0):
    generator = torch.Generator().manual_seed(seed)
    size = (GRID[0] * PATCH, GRID[1] * PATCH)
    clips = torch.randn(B, T, 3, *size, generator=generator)
    maps = torch.randn(B, T, K, GRID[0] * GRID[1], generator=generator)
    return dict(clips=clips, track_attn=maps.softmax(-1))


@pytest.mark.parametrize('mode', ['map', 'batch'])
def test_hard_masks_patch_by_patch(mode):
    data = inputs()
    attn = data['track_attn']
    results = MultiObjectMaskTransform(mode)(dict(data))
    for k in range(K):
        for t in range(T):
            unit = [attn[b, t, k] / attn[b, t, k].norm() for b in range(B)]
            mean = torch.stack(unit).mean()
            for b in range(B):
                bound = unit[b].mean() if mode == 'map' else mean
                for row in range(GRID[0]):
                    for column in range(GRID[1]):
                        keep = unit[b][row * GRID[1] + column] > bound
                        mask = results['object_masks'][b, t, k, row, column]
                        assert mask == float(keep)


def test_only_the_authors_mode_depends_on_batch_mates():
    both = inputs()
    alone = {key: value[:1] for key, value in both.items()}
    for mode in MultiObjectMaskTransform.MODES:
        transform = MultiObjectMaskTransform(mode)
        masks = transform(dict(both))['object_masks'][:1]
        same = torch.equal(masks, transform(dict(alone))['object_masks'])
        assert same is (mode != 'batch')


def test_soft_masks():
    results = MultiObjectMaskTransform('soft')(inputs())
    masks = results['object_masks']
    assert (masks.flatten(-2).amax(-1) == 1).all() and (masks >= 0).all()
    # A linear ramp stays linear between patch centres.
    ramp = torch.arange(1., 5).repeat(3).expand(1, 1, 1, 12)
    clips = torch.ones(1, 1, 3, 24, 32)
    transform = MultiObjectMaskTransform('soft')
    masks = transform(dict(clips=clips, track_attn=ramp))['object_masks']
    row = transform.mask_images(clips[0], masks[0, :, 0])[0, 0, 12]
    expected = (torch.arange(32) + 0.5) / 8 + 0.5
    torch.testing.assert_close(row[4:28], expected[4:28] / 4)


def test_empty_and_full_masks_are_counted():
    data = inputs()
    data['track_attn'][0, 0, 0] = 1 / 16  # constant: nothing above the mean
    results = MultiObjectMaskTransform('map')(dict(data))
    assert results['empty_masks'] == pytest.approx(1 / (B * T * K))
    assert results['full_masks'] == 0
    # The authors' mode: a flat map beside a peaked one is full.
    flat = torch.full((1, 1, 1, 12), 1 / 12)
    peaked = torch.tensor([0.89] + [0.01] * 11).expand(1, 1, 1, 12)
    results = MultiObjectMaskTransform('batch')(
        dict(
            clips=torch.zeros(2, 1, 3, 24, 32),
            track_attn=torch.cat((flat, peaked))))
    assert results['full_masks'] == pytest.approx(1 / 2)


def test_errors():
    with pytest.raises(ValueError, match="'hard'"):
        MultiObjectMaskTransform('hard')
    with pytest.raises(ValueError, match='24x32 clip, but got 7: '):
        MultiObjectMaskTransform()(
            dict(
                clips=torch.zeros(1, 1, 3, 24, 32),
                track_attn=torch.ones(1, 1, 1, 7)))
