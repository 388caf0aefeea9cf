"""Folders of Hugging Face as transformers and others write them."""
import json

import pytest
import torch
from small_runs import assert_same_features, make_run

from dora_mm import checkpoints
from dora_mm.models import build_backbone, load_backbone

files = pytest.importorskip('safetensors.torch')


@pytest.fixture
def folder(tmp_path):
    make_run(tmp_path / 'run.pth')
    return checkpoints.convert(tmp_path / 'run.pth', tmp_path / 'hf', 'hf',
                               build_backbone).path


@pytest.mark.parametrize('name', [
    'model.safetensors.index.json', 'pytorch_model.bin',
    'pytorch_model.bin.index.json'])  # yapf: disable
def test_other_files_of_weights_are_told_how_to_join(folder, name):
    """It asked for the folder that save_pretrained wrote, which it was."""
    (folder / 'model.safetensors').rename(folder / name)
    with pytest.raises(ValueError) as error:
        load_backbone(folder)
    text = str(error.value)
    assert f'its weights in model.safetensors, but got {name}: wri' in text
    assert f"ViTModel.from_pretrained('{folder}').save_pretrained(" in text
    (folder / name).unlink()
    with pytest.raises(ValueError, match='holds no model.safetensors: give'):
        load_backbone(folder)


def test_a_patch_by_both_sides_is_read(folder, tmp_path):
    config = json.loads((folder / 'config.json').read_text())
    for size, fits in (([8, 8], True), ([8, 4], False), ([4, 4], False)):
        config['patch_size'] = size
        (folder / 'config.json').write_text(json.dumps(config))
        if not fits:
            with pytest.raises(ValueError, match='patch_size .* must be 8'):
                load_backbone(folder)
            continue
        own = make_run(tmp_path / 'run.pth')
        assert_same_features(
            load_backbone(folder, pos_interp='size'), own, (32, 32))


def test_two_vits_in_one_file_are_refused(folder):
    """The later one overwrote the other, tensor by tensor."""
    path = folder / 'model.safetensors'
    state = files.load_file(path)
    name = 'embeddings.cls_token'
    state[f'vit.{name}'] = torch.zeros_like(state[name])
    files.save_file(state, path)
    with pytest.raises(ValueError, match=f'one ViT, but got {name} with and'):
        load_backbone(folder)
