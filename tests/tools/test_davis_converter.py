"""DAVIS as ADE20K folders and COCO files: the masks survive."""
import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def davis(tmp_path):
    """Two sequences of five frames: one of 0/255, one of object ids."""
    generator = np.random.default_rng(0)
    masks = {}
    for name, mode in (('bear', 'L'), ('dogs', 'P')):
        for kind in ('JPEGImages', 'Annotations'):
            (tmp_path / 'davis' / kind / '480p' / name).mkdir(parents=True)
        for frame in range(5):
            ids = generator.integers(0, 3, (6, 9)).astype(np.uint8)
            if mode == 'L':
                ids = (ids > 0) * np.uint8(255)
            else:
                ids[0, 0] = 255  # void
            masks[f'{name}_{frame:05}'] = ids
            image = Image.fromarray(ids)
            if mode == 'P':
                image.putpalette(list(range(256)) * 3)
            base = tmp_path / 'davis'
            image.save(base / 'Annotations/480p' / name / f'{frame:05}.png')
            Image.fromarray(ids).convert('RGB').save(base / 'JPEGImages/480p' /
                                                     name / f'{frame:05}.jpg')
    return tmp_path / 'davis', masks


def decode(segmentation):
    """Run lengths one by one."""
    pixels, value = [], 0
    for count in segmentation['counts']:
        pixels += [value] * count
        value = 1 - value
    height, width = segmentation['size']
    return np.array(pixels, bool).reshape(width, height).T


def test_masks_survive(davis, tmp_path, run_tool):
    folder, masks = davis
    for kind, ending in (('Annotations', 'png'), ('JPEGImages', 'jpg')):
        for place in ('dogs', '.ipynb_checkpoints'):
            hidden = folder / kind / '480p' / place
            hidden.mkdir(exist_ok=True)
            (hidden / f'._00000.{ending}').write_bytes(b'\0\xff')
        path = folder / kind / f'480p/dogs/00001.{ending}'
        path.rename(path.with_suffix(path.suffix.upper()))
    done = run_tool('dataset_converters/davis.py', folder, tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    seen = []
    for split, frames in (('training', 4), ('validation', 1)):
        coco = json.loads(
            (tmp_path / 'out' / f'instances_{split}.json').read_text())
        assert len(coco['images']) == 2 * frames
        for image in coco['images']:
            name = image['file_name'][:-4]
            seen.append(name)
            ids = masks[name]
            labels = np.array(
                Image.open(tmp_path / 'out/annotations' / split /
                           f'{name}.png'))
            objects = (ids > 0) & ~((ids == 255) & name.startswith('dogs'))
            assert np.array_equal(labels, 1 + objects)
            assert (tmp_path / 'out/images' / split / f'{name}.jpg').is_file()
            found = [
                a for a in coco['annotations'] if a['image_id'] == image['id']
            ]
            expected = [
                ids == i for i in ((255, ) if 'bear' in name else (1, 2))
            ]
            assert len(found) == len(expected)
            for entry, mask in zip(found, expected):
                assert np.array_equal(decode(entry['segmentation']), mask)
                x, y, width, height = entry['bbox']
                inside = np.zeros_like(mask)
                inside[y:y + height, x:x + width] = True
                assert not (mask & ~inside).any()
                assert entry['area'] == mask.sum()
        numbers = [a['id'] for a in coco['annotations']]
        assert len(set(numbers)) == len(numbers)
    assert sorted(seen) == sorted(masks)


def test_held_out_sequence_and_mistakes(davis, tmp_path, run_tool):
    folder, _ = davis
    tool = 'dataset_converters/davis.py'
    run_tool(tool, folder, tmp_path / 'out', '--val-sequences', 'dogs',
             '--step', '2')
    names = [p.name for p in (tmp_path / 'out/images/validation').iterdir()]
    assert sorted(names) == [f'dogs_0000{i}.jpg' for i in (0, 2, 4)]
    for arguments, word in (((folder, tmp_path / 'out'), 'exists'),
                            ((tmp_path, tmp_path / 'b'), 'no sequences'),
                            ((folder, tmp_path / 'b', '--val-sequences',
                              'cat'), 'must be of bear, dogs, but got cat')):
        done = run_tool(tool, *arguments)
        assert done.returncode == 1 and word in done.stderr
        assert not (tmp_path / 'b').exists()
    (folder / 'JPEGImages/480p/bear/00003.jpg').unlink()
    done = run_tool(tool, folder, tmp_path / 'b')
    assert "none for ['00003']: get it again" in done.stderr
    assert 'Traceback' not in done.stderr and not (tmp_path / 'b').exists()
