"""A published backbone, and images to make tiny data sets of."""
import numpy as np
import pytest
import torch
from hosts import ARCH
from PIL import Image

from dora_mm.checkpoints import publish
from dora_mm.models import DoRAViT, build_backbone


@pytest.fixture(scope='session')
def published(tmp_path_factory):
    """A backbone of 32-pixel images as tools/publish_backbone.py writes it."""
    folder = tmp_path_factory.mktemp('published')
    torch.manual_seed(0)
    backbone = DoRAViT(ARCH, img_size=32, patch_size=16)
    backbone.init_weights()
    state = {f'backbone.{k}': v for k, v in backbone.state_dict().items()}
    torch.save(dict(state_dict=state), folder / 'source.pth')
    return publish(
        folder / 'source.pth',
        folder / 'vit.pth',
        build_backbone,
        num_heads=backbone.layers[0].attn.num_heads,
        img_size=32,
        norm_eps=1e-6,
        activation='gelu').path


@pytest.fixture
def draw_squares():
    """An image with a few bright squares, and their masks."""

    def draw(seed, size=64, num=2):
        generator = np.random.default_rng(seed)
        image = generator.integers(0, 60, (size, size, 3), dtype=np.uint8)
        masks = np.zeros((num, size, size), dtype=bool)
        for i in range(num):
            y, x = generator.integers(0, size // 2, 2)
            masks[i, y:y + size // 3, x:x + size // 3] = True
            masks[:i, masks[i]] = False
            image[masks[i]] = 100 + 150 * i // num
        return Image.fromarray(image), masks

    return draw
