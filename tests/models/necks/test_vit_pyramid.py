import pytest
import torch

from dora_mm.models import ViTPyramid

NORM = dict(type='BN')


def test_it_is_the_neck_of_mmseg_key_for_key():
    necks = pytest.importorskip('mmseg.models.necks')
    torch.manual_seed(0)
    theirs = necks.Feature2Pyramid(12, norm_cfg=NORM)
    ours = ViTPyramid(12, norm_cfg=NORM)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    feats = [torch.randn(2, 12, 6, 4) for _ in range(4)]
    found, expected = ours(feats), theirs(feats)
    assert [tuple(f.shape[2:]) for f in found] == [(24, 16), (12, 8), (6, 4),
                                                   (3, 2)]
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b)


def test_it_takes_four_levels():
    with pytest.raises(ValueError, match='out_indices'):
        ViTPyramid(12, norm_cfg=NORM)([torch.randn(1, 12, 4, 4)] * 3)
