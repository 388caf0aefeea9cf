"""Clips that the device decodes are those that a worker decodes."""
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torchvision.transforms.v2.functional import resize
from video_factory import write_video

from dora_mm.registry import MODELS
from dora_mm.utils.resize_box import resize_floats
from dora_mm.utils.shipped_configs import config_path
from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos

NAMES = ('dora/vit-s16_wt', 'dora/vit-s16_wt_device-decode')


@pytest.fixture
def jpegs(tmp_path):
    done, errors = prepare_videos([write_video(tmp_path / 'v.mp4', 40)],
                                  tmp_path / 'out', PrepareSettings('mjpeg'))
    assert not errors
    return str(done[0].path)


def batches(name, video, workers=0):
    """All batches of an epoch, and the preprocessor of the model."""
    cfg = Config.fromfile(config_path(name))
    loader = cfg.train_dataloader
    loader.update(
        batch_size=3,
        num_workers=workers,
        pin_memory=False,
        persistent_workers=workers > 0)
    if not workers:
        loader.pop('timeout')
    loader.dataset.update(
        video=video, clip_len=4, frame_interval=0.2, across_cuts=True)
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    return list(Runner.build_dataloader(loader, seed=5)), preprocessor


def assert_equal(one, other):
    for kind in ('global_clips', 'local_clips'):
        torch.testing.assert_close(one[kind], other[kind], rtol=0, atol=0)


def test_views_of_an_epoch_are_equal(jpegs):
    ours, decoder = batches(NAMES[1], jpegs, workers=2)
    expected, preprocessor = batches(NAMES[0], jpegs)
    assert len(ours) == len(expected) == 11
    for batch, right in zip(ours, expected):
        assert all(clip.ndim == 1 for clip in batch['inputs'])
        clips = decoder.decode(batch)['inputs']
        assert torch.equal(clips, right['inputs'])
    assert_equal(
        decoder(batch)['inputs'], preprocessor(right)['inputs'])


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
def test_cuda_decodes_nearly_as_a_cpu(jpegs):
    """nvJPEG rounds its own way: a level or two, more at sharp edges."""
    (batch, *_), decoder = batches(NAMES[1], jpegs)
    expected = decoder.decode(batch)['inputs']
    found = decoder.cuda().decode(batch)['inputs']
    assert found.is_cuda and found.shape == expected.shape
    error = (found.cpu().int() - expected.int()).abs().float()
    print('mean', error.mean().item(), 'max', error.max().item())
    assert error.mean() < 1 and (error > 4).float().mean() < 0.01


def test_another_clip_stands_in_for_a_damaged_one(jpegs):
    with open(jpegs, 'r+b') as file:
        data = file.read()
        place = data.index(b'\xff\xd8', len(data) // 2)
        file.seek(place + 500)
        file.write(bytes(64))
    ours, decoder = batches(NAMES[1], jpegs)
    expected, _ = batches(NAMES[0], jpegs)
    replaced = 0
    for batch, right in zip(ours, expected):
        assert torch.equal(decoder.decode(batch)['inputs'], right['inputs'])
        numbers = [[s.num_replaced for s in samples]
                   for samples in (batch['data_samples'],
                                   right['data_samples'])]
        assert numbers[0] == numbers[1]
        replaced += sum(numbers[0])
    assert replaced


def test_what_cannot_be_decoded_is_named(jpegs, tmp_path):
    ours, decoder = batches(NAMES[1], jpegs)
    batch = ours[0]
    batch['inputs'][1][:20] = 0
    with pytest.raises(RuntimeError, match='v.mp4 from frame .*again'):
        decoder(batch)
    del batch['data_samples']
    with pytest.raises(TypeError, match='inputs must be .*ReadClipJPEGs'):
        decoder(batch)
    film = write_video(tmp_path / 'film.mp4', 40)
    with pytest.raises(ValueError, match='must be a file of JPEGs'):
        batches(NAMES[1], film)
    film = write_video(
        tmp_path / 'jpegs.mp4', 40, codec='mjpeg', pix_fmt='yuvj420p')
    with pytest.raises(ValueError, match='must have checksums'):
        batches(NAMES[1], film)


def test_floats_differ_by_one_at_most():
    torch.manual_seed(0)
    for size in ((200, 310), (37, 80)):
        frames = torch.randint(256, (2, 3, *size), dtype=torch.uint8)
        right = resize(frames.double(), [96, 96], antialias=True)
        error = (resize_floats(frames, 96) - right).abs()
        assert error.max() < 0.502
