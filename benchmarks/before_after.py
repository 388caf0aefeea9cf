"""The training step of this checkout against that of an earlier commit.

    python benchmarks/before_after.py a60fc81

Two processes, one with each, start from the same weights and take the same
random batches in float32 on a CPU, a step in turn, so that a load on the
machine meets both. The losses are compared, and the seconds of each pair.
"""
import argparse
import io
import json
import math
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BATCHES = 4


class Side:
    """A process that trains with the code of a folder.

    Args:
        root (Path): A checkout.
        weights (Path): Where the first one leaves its weights, and the other
            takes them from.
        options (list[str]): Of this program.
    """

    def __init__(self, root, weights, options):
        command = [
            sys.executable, '-W', 'ignore', __file__, 'as', *options,
            '--as-root',
            str(root), '--weights',
            str(weights)
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.read()

    def read(self):
        """What the process says next."""
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit('error: a side ended, its message is above')
        return json.loads(line)

    def step(self, number):
        """Loss and seconds of a step."""
        print(number, file=self.process.stdin, flush=True)
        return self.read()

    def end(self):
        """Let the process end."""
        self.process.stdin.close()
        self.process.wait()


def serve(args):
    """Be a side: for each number read, do a step and print what it took."""
    out, sys.stdout = sys.stdout, sys.stderr
    sys.path[:0] = [args.as_root, f'{args.as_root}/benchmarks']
    import torch
    from step_tools import make_views
    from training_step import TrainingStep

    import dora_mm
    assert Path(dora_mm.__file__).is_relative_to(args.as_root)
    args.device, args.set = 'cpu', None
    torch.set_num_threads(args.threads)
    step = TrainingStep(args, 'ours', torch.float32)
    weights = Path(args.weights)
    if weights.exists():
        step.model.load_state_dict(torch.load(weights))
    else:
        torch.save(step.model.state_dict(), weights)
    batches = [
        make_views(step.model, args.batch, args.frames, step.device, seed)
        for seed in range(BATCHES)
    ]
    print('"ready"', file=out, flush=True)
    for line in sys.stdin:
        number = int(line)
        start = time.perf_counter()
        loss = step.run(batches[number % BATCHES], number).item()
        seconds = time.perf_counter() - start
        print(json.dumps([loss, seconds]), file=out, flush=True)


def compare(losses, seconds, skip):
    """The numbers of the table.

    Args:
        losses, seconds (list[tuple[float]]): Before and after, a step.
        skip (int): Steps whose time is not looked at.

    Returns:
        dict: See :func:`compare_pairs`.
    """
    seconds = seconds[skip:]
    return dict(
        largest_difference=max(
            abs(after / before - 1) for before, after in losses),
        first_loss=losses[0][0],
        last_loss=losses[-1][0],
        seconds_before=statistics.median(before for before, _ in seconds),
        seconds_after=statistics.median(after for _, after in seconds),
        **compare_pairs(seconds))


def compare_pairs(pairs):
    """Median of the ratios of pairs of numbers, after over before.

    Args:
        pairs (list[tuple[float]]): Before and after.

    Returns:
        dict: ``interval`` is that of the median, of 95 %.
    """
    ratios = sorted(after / before for before, after in pairs)
    # The order statistics that the binomial distribution gives.
    low = max(int((len(ratios) - 1.96 * math.sqrt(len(ratios))) / 2), 0)
    return dict(
        pairs=len(ratios),
        ratio=statistics.median(ratios),
        interval=[ratios[low], ratios[-1 - low]])


def extract(commit, folder):
    """Write the files of a commit into a folder."""
    archive = subprocess.run(['git', 'archive', commit],
                             cwd=ROOT,
                             check=True,
                             stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter='data')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('commit', help='of the step before')
    parser.add_argument('--steps', type=int, default=50)
    parser.add_argument(
        '--skip', type=int, default=5, help='steps that are not timed')
    parser.add_argument('--arch', default='deit-tiny')
    parser.add_argument('--batch', type=int, default=2, help='clips, B')
    parser.add_argument('--frames', type=int, default=4, help='T')
    parser.add_argument('--objects', type=int, default=3, help='K')
    parser.add_argument('--local-views', type=int, default=6, help='L')
    parser.add_argument('--logits', type=int, default=65536, help='P')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--config', default='dora/vit-s16_wt_released.py')
    parser.add_argument('--as-root', help=argparse.SUPPRESS)
    parser.add_argument('--weights', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.as_root:
        serve(args)
        return
    options = [x for x in sys.argv[1:] if x != args.commit]
    losses, seconds = [], []
    with tempfile.TemporaryDirectory() as made:
        extract(args.commit, f'{made}/before')
        sides = [
            Side(root, Path(made, 'weights.pth'), options)
            for root in (Path(made, 'before'), ROOT)
        ]
        for number in range(args.steps):
            order = sides[::-1] if number % 2 else sides
            found = {side: side.step(number) for side in order}
            pair = [found[side] for side in sides]
            losses.append([loss for loss, _ in pair])
            seconds.append([time for _, time in pair])
        for side in sides:
            side.end()
    print(json.dumps(compare(losses, seconds, args.skip), indent=2))


if __name__ == '__main__':
    main()
