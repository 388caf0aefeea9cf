"""Memory and time of nearest neighbours at the size of ImageNet.

    python benchmarks/knn_search.py --out knn.json

The features are random, which costs what others do. Resident memory is the
largest of the process, the memory of 1.28 M features included; the time is
that of the search alone, of --queries of the 50,000 images, and scaled to all.
"""
import argparse
import json
import platform
import resource
import time

import torch
import torch.nn.functional as F

from dora_mm.evaluation.knn_classifier import KNNClassifier


def measure(args):
    """Build the memory, search, and give the figures."""
    generator = torch.Generator(args.device).manual_seed(0)

    def random(rows):
        features = torch.randn(
            rows, args.dims, generator=generator, device=args.device)
        return F.normalize(features, dim=1, out=features)

    memory = random(args.memory)
    labels = torch.randint(
        args.classes, (args.memory, ),
        generator=generator,
        device=args.device)
    classifier = KNNClassifier(memory, labels, args.classes)
    start = time.perf_counter()
    for done in range(0, args.queries, args.batch):
        batch = min(args.batch, args.queries - done)
        top = classifier.votes(random(batch))[20].argmax(1).cpu()
        assert top.shape == (batch, )
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    result = dict(
        vars(args),
        torch=torch.__version__,
        machine=platform.machine(),
        threads=torch.get_num_threads(),
        seconds=round(seconds, 1),
        minutes_for_50k=round(seconds / args.queries * 50000 / 60, 1),
        peak_gib=round(peak, 2))
    if args.device != 'cpu':
        result['device_peak_gib'] = round(
            torch.cuda.max_memory_allocated() / 2**30, 2)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--memory', type=int, default=1281167)
    parser.add_argument('--queries', type=int, default=50000)
    parser.add_argument('--dims', type=int, default=384)
    parser.add_argument('--classes', type=int, default=1000)
    parser.add_argument('--batch', type=int, default=512)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--out', help='also write the figures to this JSON')
    args = parser.parse_args()
    result = measure(args)
    for name, value in result.items():
        print(f'{name:16} {value}')
    if args.out:
        with open(args.out, 'w') as file:
            json.dump(result, file, indent=2)


if __name__ == '__main__':
    main()
