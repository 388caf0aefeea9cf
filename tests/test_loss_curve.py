"""Fifty training steps before and after the training step was rewritten."""
import json
from pathlib import Path

import pytest
import torch
from loss_recorder import LossRecorder
from mmengine.config import Config
from tiny import build_runner, model_cfg

from dora_mm.utils.shipped_configs import config_path

# Losses of commit 03dd26d: three forwards, then a loss over all logits. Made
# by running this file there.
CURVES = Path(__file__).parent / 'data' / 'loss_curves.json'
RELEASED = Config.fromfile(config_path('dora/vit-s16_wt_released.py'))
RECIPES = {
    'second_last_layer':
    dict(
        track_layer=-2,
        patch_feature='attention',
        head=dict(num_objects=2, normalize_tokens=False, plan_mass='unit'),
        backbone=dict(drop_path_rate=0.1)),
    # Without drop path, whose draws depend on the number of local views that
    # are computed: the first one, which the loss skips, no longer is.
    'released':
    dict(
        track_layer=-1,
        patch_feature='final',
        head=dict(num_objects=2, normalize_tokens=True, plan_mass='patch'),
        mask=dict(mode='batch'),
        loss=dict(
            object_weight=0.5,
            local_weight=0.5,
            carry_frame_loss=True,
            skip_first_local=True),
        data_preprocessor=dict(global_views=dict(num=1, size=32)))
}


def train(recipe, folder):
    """Losses of 50 steps with all hooks, in float32."""
    path = folder / 'losses.jsonl'
    runner = build_runner(
        folder, [
            dict(type='dora_mm.StepSeedHook'),
            dict(type='dora_mm.PerParameterClipHook', max_norm=3.),
            dict(type='dora_mm.FreezeLastLayerHook', num_epochs=1),
            dict(type='dora_mm.TeacherEMAHook', momentum=0.9),
            LossRecorder(path)
        ],
        max_epochs=17,
        model=model_cfg(**RECIPES[recipe]),
        optim_wrapper=dict(
            optimizer=dict(RELEASED.optim_wrapper.optimizer, lr=1e-3),
            constructor='dora_mm.DecayGroupsConstructor'))
    runner.train()
    losses = [json.loads(line)[1] for line in path.read_text().splitlines()]
    return losses[:50]


@pytest.mark.parametrize('recipe', RECIPES)
def test_losses_are_those_of_the_step_before(recipe, tmp_path):
    expected = json.loads(CURVES.read_text())[recipe]
    torch.testing.assert_close(
        torch.tensor(train(recipe, tmp_path)),
        torch.tensor(expected),
        rtol=1e-4,
        atol=0)


if __name__ == '__main__':
    import tempfile
    curves = {}
    for name in RECIPES:
        with tempfile.TemporaryDirectory() as made:
            curves[name] = train(name, Path(made))
    CURVES.write_text(json.dumps(curves, indent=1) + '\n')
