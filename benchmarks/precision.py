"""What bfloat16 does to the loss: a run, and its logits.

    python benchmarks/precision.py --steps 200

A small DoRA (3 layers, 48 channels, P = 4096) trains twice from the same
weights on the same eight batches of random clips, in float32 and under
autocast in bfloat16, which keeps tokens in bfloat16 between layers. Both see
the same draws. Then the student's normaliser, the logsumexp of P = 65536
logits, and the largest logit, against float64: of random features, and of
features near a row of the last layer, where one logit decides. Features and
weights are rounded to bfloat16; their products are summed in float32, or, as
it was, rounded to bfloat16 too.
"""
import argparse
import json

import torch
import torch.nn.functional as F
from step_tools import build_model, make_views
from training_step import TrainingStep

from dora_mm.models.utils.chunked_logsumexp import chunked_logsumexp
from dora_mm.models.utils.float32_product import linear_in_float32

SMALL = {
    'backbone.arch':
    dict(
        _delete_=True,
        embed_dims=48,
        num_layers=3,
        num_heads=4,
        feedforward_channels=96),
    'backbone.img_size': 32,
    'backbone.patch_size': 8,
    'neck.in_channels': 48,
    'neck.hidden_channels': 256,
    'data_preprocessor.global_views.size': 32,
    'data_preprocessor.local_views.size': 16,
}
BATCHES, TEMPERATURE = 8, 0.1


def train(dtype, steps):
    """The losses of a run."""
    args = argparse.Namespace(
        arch='deit-tiny',
        batch=4,
        frames=4,
        objects=3,
        local_views=2,
        logits=4096,
        config='dora/vit-s16_wt_released.py',
        device='cpu',
        set=SMALL)
    model = build_model(args, torch.device('cpu'), args.set)
    step = TrainingStep(args, 'ours', dtype, model)
    batches = [
        make_views(model, args.batch, args.frames, step.device, seed)
        for seed in range(BATCHES)
    ]
    return torch.tensor(
        [step.run(batches[i % BATCHES], i).item() for i in range(steps)])


def logit_errors(peaked, rows=512, channels=256, logits=65536):
    """Errors in nats, of normalised features and rows of the last layer.

    Returns:
        dict[str, Tensor]: Of logsumexp and of the largest logit, as they are
        and, ``rounded``, as they were, (M,) each.
    """
    generator = torch.Generator().manual_seed(0)
    weight = F.normalize(
        torch.randn(logits, channels, generator=generator), dim=1)
    features = F.normalize(
        torch.randn(rows, channels, generator=generator), dim=1)
    if peaked:
        features = F.normalize(weight[:rows] + 0.5 * features, dim=1)
    scale = 1 / TEMPERATURE
    with torch.autocast('cpu', torch.bfloat16):
        log_sums = chunked_logsumexp(features, weight, scale)
        logits = scale * linear_in_float32(features, weight)
    rounded = scale * (features.bfloat16() @ weight.bfloat16().T).float()
    exact = scale * features.double() @ weight.double().T
    found = dict(
        logsumexp=(log_sums, exact.logsumexp(1)),
        logit=(logits.amax(1), exact.amax(1)),
        logsumexp_rounded=(rounded.logsumexp(1), exact.logsumexp(1)),
        logit_rounded=(rounded.amax(1), exact.amax(1)))
    return {name: (a.double() - b).abs() for name, (a, b) in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--steps', type=int, default=200)
    args = parser.parse_args()
    full, half = (
        train(dtype, args.steps) for dtype in (torch.float32, torch.bfloat16))
    gap = (half - full).abs()
    numbers = dict(
        first=full[0].item(),
        last=full[-BATCHES:].mean().item(),
        last_bfloat16=half[-BATCHES:].mean().item(),
        mean_gap=gap.mean().item(),
        largest_gap=gap.max().item())
    for kind in ('random', 'peaked'):
        for name, errors in logit_errors(kind == 'peaked').items():
            numbers[f'{kind}_{name}_mean_error'] = errors.mean().item()
            numbers[f'{kind}_{name}_largest_error'] = errors.max().item()
    print(json.dumps(numbers, indent=2))


if __name__ == '__main__':
    main()
