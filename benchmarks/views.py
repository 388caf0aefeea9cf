"""Cost and exactness of the ways to make the views of a clip.

Times, in one run and interleaved, what ClipViewPreprocessor is made of
against the alternatives: cropping, colour, and the whole. 'ours_batched' is
what an accelerator runs, 'ours_per_image' what a CPU runs. The video is random
pixels (a blurred field plus noise): no method's cost depends on them.

    python benchmarks/views.py --out views.json

CPU: milliseconds of CPU time per clip on one thread. CUDA: milliseconds of
wall time per clip, device idle before and after. kornia takes part if it is
installed; dora_mm does not need it.
"""
import argparse
import json
import platform
import statistics
import time

import cv2
import torch
import torchvision
from step_tools import print_profile, profile
from view_case import Case
from view_methods import kornia, methods_by_stage


def _clock(device):
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def _max_and_mean(views, expected, scale):
    gaps = [((a.reshape(b.shape) - b) * scale).abs()
            for a, b in zip(views, expected)]
    total = sum(float(gap.sum()) for gap in gaps)
    return (max(float(gap.max())
                for gap in gaps), total / sum(gap.numel() for gap in gaps))


@torch.no_grad()
def measure(case, repeats, names=None):
    """Rows of stage, method, ms per clip, ratio to batched and errors.

    Errors are of values in [0, 1], against torchvision on floats where it
    takes part, else against the batched way, which is as exact.
    """
    rows = []
    for stage, methods in methods_by_stage(case).items():
        methods = {
            name: method
            for name, method in methods.items() if names is None or name in
            (*names, 'ours_batched')
        }
        reference = 'torchvision_float'
        expected = methods.get(reference, methods['ours_batched'])()
        scale = case.preprocessor.std if stage == 'whole' else 1
        errors, seconds = {}, {name: [] for name in methods}
        for name, method in methods.items():  # also warms it up
            errors[name] = _max_and_mean(method(), expected, scale)
        for _ in range(repeats):
            for name, method in methods.items():
                start = _clock(case.device)
                method()
                seconds[name].append(_clock(case.device) - start)
        batched = statistics.median(seconds['ours_batched'])
        for name, values in seconds.items():
            median = statistics.median(values)
            rows.append(
                dict(
                    stage=stage,
                    method=name,
                    ms_per_clip=1e3 * median / case.num_clips,
                    ratio_to_batched=median / batched,
                    max_error=errors[name][0],
                    mean_error=errors[name][1]))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--clips', type=int, default=1, help='clips at once')
    parser.add_argument('--frames', type=int, default=8)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--device', default='cpu')
    parser.add_argument(
        '--methods', nargs='+', help='those and ours alone, not all')
    parser.add_argument('--out', help='also write the numbers to this JSON')
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)

    case = Case(args)
    cuda = case.device.type == 'cuda'
    info = dict(
        vars(args),
        python=platform.python_version(),
        torch=torch.__version__,
        torchvision=torchvision.__version__,
        opencv=cv2.__version__,
        kornia=getattr(kornia, '__version__', None),
        machine=torch.cuda.get_device_name() if cuda else platform.machine())
    rows = measure(case, args.repeats, args.methods)
    print(', '.join(f'{k} {v}' for k, v in info.items()))
    print(f'{"stage":7} {"method":23} {"ms/clip":>8} {"x batch":>7} '
          f'{"max err":>8} {"mean err":>8}')
    for row in rows:
        print(f'{row["stage"]:7} {row["method"]:23} {row["ms_per_clip"]:8.1f} '
              f'{row["ratio_to_batched"]:7.2f} {row["max_error"]:8.1e} '
              f'{row["mean_error"]:8.1e}')
    found = None
    if cuda:
        found = profile(lambda: case.preprocessor(dict(inputs=case.clips)))
        print_profile(found, 40)
    if args.out:
        with open(args.out, 'w') as file:
            json.dump(
                dict(info=info, rows=rows, profile=found), file, indent=2)


if __name__ == '__main__':
    main()
