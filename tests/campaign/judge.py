"""What became of a run, from its files alone; nothing of dora_mm judges."""
import json
import re

import torch

PARTS = ('state_dict', 'optimizer', 'param_schedulers')


def same(one, other):
    """Whether numbers and plain data are equal, bit by bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(
            same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def read(path):
    """A checkpoint of a run of this campaign."""
    return torch.load(path, map_location='cpu', weights_only=False)


def checkpoints(folder):
    """Files by iteration, oldest first."""
    found = {
        int(re.fullmatch(r'iter_(\d+)', path.stem)[1]): path
        for path in folder.glob('iter_*.pth')
    }
    return [found[number] for number in sorted(found)]


def poisoned(value):
    """Whether a number that is not finite is in it."""
    if isinstance(value, torch.Tensor):
        return value.is_floating_point() and not bool(value.isfinite().all())
    if isinstance(value, dict):
        return any(map(poisoned, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(poisoned, value))
    return isinstance(value, float) and abs(value) == float('inf')


def scalars(folder, name='loss'):
    """All logged values by iteration, over all runs in a folder."""
    found = {}
    for path in folder.glob('*/vis_data/scalars.json'):
        for line in path.read_text(errors='replace').splitlines():
            try:
                item = json.loads(line)
            except ValueError:  # it was being written
                continue
            if name in item and 'step' in item:
                found.setdefault(item['step'], set()).add(item[name])
    return found


def compare(folder, whole):
    """A run that has ended with the one that was not interrupted."""
    paths = checkpoints(folder)
    if any(poisoned(read(path)) for path in paths):
        return 'poisoned'
    if list(folder.glob('.*')):
        return 'left over'
    one, other = read(paths[-1]), read(checkpoints(whole)[-1])
    places = [[state['meta'][key] for key in ('iter', 'epoch', 'seed')]
              for state in (one, other)]
    if places[0] != places[1] or not all(
            same(one[part], other[part]) for part in PARTS):
        return 'unequal'
    expected = scalars(whole)
    found = scalars(folder)
    if any(values - expected[step] for step, values in found.items()):
        return 'unequal'
    return 'equal'
