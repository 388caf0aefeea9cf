"""Checkpoints that run code or are not what they seem, times every tool."""
import copy
import math

import test_hostile_files as traps
import torch
from forked import Forked
from judge import checkpoints, compare, poisoned, read
from PIL import Image
from stage import tool

from dora_mm import config_path

TOOLS = ('train.py', 'test.py', 'embed.py', 'visualize_tracks.py',
         'visualize_features.py', 'convert_checkpoint.py',
         'publish_backbone.py', 'replay.py', 'evaluate_all.py',
         'benchmarks/prepare_backbone.py', 'analysis_tools/health.py')


class Hostile:
    """Trials; each returns what became of it.

    Args:
        stage (Stage): What they share.
    """

    def __init__(self, stage):
        self.stage, self.rng = stage, stage.rng
        self.mains = {name: tool(name) for name in TOOLS}
        self.images = stage.folder / 'images'
        for split in ('train', 'test'):
            for name in ('a', 'b'):
                folder = self.images / split / name
                folder.mkdir(parents=True)
                for number in range(4):
                    Image.new('RGB', (32, 32), (60 * number, 90, 200)).save(
                        folder / f'{number}.png')
        self.trials = (self.code_in_a_file, self.spoiled_checkpoint)

    def _commands(self, path):
        """All ways to hand a file to a tool, by name."""
        folder, stage = path.parent, self.stage
        out = folder / 'out'
        out.mkdir(exist_ok=True)
        video, images = stage.video, self.images / 'test/a'
        host = folder / 'host.py'
        host.write_text('model = dict()')
        (folder / 'non_finite.json').write_text('{"iteration": 99, "clips": '
                                                '[[]], "first": []}')
        train = [stage.configs['all'], '--work-dir', folder / 'work']
        start = 'model.backbone.init_cfg.'
        return {
            'resume a file': ('train.py', [*train, '--resume', path]),
            'resume a folder': ('train.py', [
                stage.configs['all'], '--work-dir', folder, '--resume'
            ]),
            'load_from': ('train.py',
                          [*train, '--cfg-options', f'load_from={path}']),
            'init_cfg': ('train.py', [
                *train, '--cfg-options', start + 'type=Pretrained',
                start + f'checkpoint={path}'
            ]),
            'test': ('test.py', [
                config_path('evaluation/knn_cifar10-mini.py'), path, '--data',
                self.images, '--work-dir', out, '--cfg-options',
                'test_evaluator.0.topk=(1,)'
            ]),
            'embed': ('embed.py', [images, path, '--out-dir', out]),
            'tracks': ('visualize_tracks.py', [
                video, path, '--num-clips', 1, '--out-dir', out
            ]),
            'features': ('visualize_features.py', [
                video, path, '--num-frames', 2, '--size', 32, '--out-dir', out
            ]),
            'convert': ('convert_checkpoint.py',
                        [path, out / 'o.pth', '--to', 'timm']),
            'publish': ('publish_backbone.py', [path, out / 'o.pth']),
            'replay': ('replay.py', [folder]),
            'evaluate all': ('evaluate_all.py',
                             [path, '--data', out, '--out-dir', out / 'e']),
            'prepare a backbone': ('benchmarks/prepare_backbone.py',
                                   [path, out]),
            'host': ('benchmarks/prepare_backbone.py', [
                'random', out, '--run', host, '--cfg-options',
                f'load_from={path}'
            ]),
            'health': ('analysis_tools/health.py',
                       [path, video, '--num-clips', 1]),
        }

    def _run(self, path):
        commands = self._commands(path)
        name = self.rng.choice(list(commands))
        main, argv = commands[name]
        run = Forked(self.mains[main], argv, path.parent / 'log')
        return name, run, run.finish()

    def _judge(self, kind, name, run, status):
        if status == 0:
            return 'read as data'
        if status < 0 or run.sentence is None:
            print(f'{kind}, {name}: status {status}\n{run.output[-1000:]}')
            return 'crashed'
        return 'refused'

    def code_in_a_file(self):
        """Nothing of it runs."""
        folder = self.stage.new()
        mark, path = folder / 'executed', folder / 'iter_9.pth'
        kind = self.rng.choice(list(traps.TRAPS))
        traps.TRAPS[kind](self.stage.checkpoint, path, f'touch {mark}')
        name, run, status = self._run(path)
        if mark.exists():
            print(kind, name)
            return 'executed'
        return self._judge(kind, name, run, status)

    def spoiled_checkpoint(self):
        """A part is missing, of another kind or shape, or not finite."""
        path = self.stage.new() / 'iter_9.pth'
        data = copy.deepcopy(read(checkpoints(self.stage.whole()[0])[8]))
        kind = self._spoil(data)
        torch.save(data, path)
        name, run, status = self._run(path)
        outcome = self._judge(kind, name, run, status)
        for found in path.parent.glob('**/iter_1?.pth'):
            if poisoned(read(found)):
                print(kind, name)
                return 'poisoned'
        if outcome == 'read as data' and name == 'resume a folder':
            path.unlink()  # the trial's own
            for left in path.parent.glob('.*'):
                print(left)
            outcome = compare(path.parent, self.stage.whole()[0])
            if outcome != 'equal':
                print(kind, name, run.output[-1000:])
        return outcome

    def _spoil(self, data):
        """Change one place in place; what was done."""
        parent, place = data, []
        while True:
            keys = list(parent) if isinstance(parent, dict) else list(
                range(len(parent)))
            key = self.rng.choice(keys)
            place.append(key)
            inner = parent[key]
            if not isinstance(inner, (dict, list)) or not inner or (
                    self.rng.random() < 0.1):
                break
            parent = inner
        old = parent[key]
        values = [None, 'text', [], {}, math.nan, torch.ones(3)]
        if not isinstance(old, (int, float)):  # nobody sees another number
            values += [-1, 10**30]
        if isinstance(old, torch.Tensor) and old.is_floating_point():
            bad = old.clone()
            bad.view(-1)[:1] = math.inf
            values += [bad, old[None], old.double().cfloat()]
        way = self.rng.randrange(len(values) + 1)
        if way == len(values):
            del parent[key]
            return f'{place} removed'
        parent[key] = values[way]
        return f'{place} = {str(values[way])[:60]}'
