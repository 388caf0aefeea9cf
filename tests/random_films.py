"""Films of random containers, codecs, groups of pictures, rates and turns.

    python tests/random_films.py --seeds 400

Each is read at random and decoded in one pass, by FFmpeg as it is by default.
What our readers return must be the same to the pixel, or be refused; then the
remedy is followed, and the prepared film must show the frames of the one pass.
Prints what is wrong and a count for each container; ends with status 1 if
anything is.
"""
import argparse
import os
import sys
import tempfile
import warnings
from collections import Counter
from fractions import Fraction
from itertools import chain, dropwhile
from pathlib import Path
from typing import List, NamedTuple

import av
import numpy as np
import pytest
from av.error import ArgumentError
from clean_python import ROOT

from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos
from dora_mm.video.readers import build_reader
from dora_mm.video.readers.probe_video import probe_video

sys.path.append(str(ROOT / 'benchmarks'))
from command_pixels import command_pixels  # noqa: E402

sys.path.remove(str(ROOT / 'benchmarks'))

# Bars that spell a number, and pixels of each.
BITS, BAR = 8, 16
_RATES = [Fraction(10), Fraction(24000, 1001), Fraction(25), Fraction(60)]
_H264 = ['.mp4', '.mov', '.mkv', '.flv', '.avi', '.ts', '.nut', '.mp4 frag']
_MPEG = ['.mp4', '.avi', '.mkv', '.mpg', '.ts', '.mov']
_CONTAINERS = {
    'libx264': _H264, 'libx265': ['.mp4', '.mkv', '.ts', '.mp4 frag'],
    'mpeg4': ['.mp4', '.avi', '.mkv'], 'mpeg2video': _MPEG,
    'mpeg1video': ['.mpg', '.ts'], 'libvpx': ['.webm'],
    'libvpx-vp9': ['.webm', '.mp4'], 'libsvtav1': ['.mp4', '.mkv'],
    'wmv2': ['.wmv', '.avi'], 'flv': ['.flv'], 'ffv1': ['.mkv', '.avi'],
    'prores_ks': ['.mov'], 'mjpeg': ['.avi', '.mov', '.mkv', '.mp4'],
}  # yapf: disable
_SHARES = dict(libx264=.45, libx265=.1, mpeg2video=.1, mpeg4=.08)
# Mean difference of samples that one more encoding makes.
_GAP = 6
_FORMATS = dict(prores_ks='yuv422p10le', mjpeg='yuvj420p')


class Film(NamedTuple):
    """A file, and how it was made."""
    path: str
    recipe: str


def picture(number: int, width: int, height: int) -> np.ndarray:
    """Bars that spell a number, above a pattern that moves with it.

    Two that follow each other differ by more than 10 a sample in the mean.
    """
    bits = np.array([number >> bit & 1 for bit in range(BITS)])
    frame = np.zeros((height, width, 3), np.uint8)
    rows, columns = np.mgrid[:height, :width]
    frame[..., 0] = 128 + 60 * np.sin((columns + 3 * number) / 9)
    frame[..., 1] = 128 + 60 * np.sin((rows - 2 * number) / 7)
    frame[..., 2] = 128 + 60 * np.sin((rows + columns + number) / 5)
    for bit, value in enumerate(bits):
        frame[:height // 2, bit * BAR:(bit + 1) * BAR] = 220 if value else 40
    return frame


def _x264(rng: np.random.Generator, height: int) -> str:
    params = dict(
        keyint=int(rng.integers(2, 60)),
        bframes=int(rng.integers(0, 7)),
        ref=int(rng.integers(1, 5)),
        scenecut=int(rng.choice([0, 40])))
    params['min-keyint'] = int(rng.integers(1, params['keyint'] + 1))
    params['b-pyramid'] = str(rng.choice(['none', 'strict', 'normal']))
    params['open-gop'] = int(rng.random() < .4)
    params['interlaced'] = int(height % 32 == 0 and rng.random() < .2)
    if rng.random() < .2:
        params.update({'intra-refresh': 1, 'open-gop': 0, 'interlaced': 0})
    return ':'.join(f'{key}={value}' for key, value in params.items())


def _x265(rng: np.random.Generator) -> str:
    return (f'log-level=none:keyint={rng.integers(4, 60)}:min-keyint=2:'
            f'bframes={rng.integers(0, 5)}:open-gop={rng.integers(2)}:'
            f'b-pyramid={rng.integers(2)}:pools=1:frame-threads=1')


def _options(codec: str, rng: np.random.Generator, height: int) -> dict:
    if codec == 'libx264':
        return {'preset': 'veryfast', 'x264-params': _x264(rng, height)}
    if codec == 'libx265':
        return {'preset': 'ultrafast', 'x265-params': _x265(rng)}
    options = dict(g=str(rng.integers(2, 60)))
    if codec in ('mpeg4', 'mpeg2video', 'mpeg1video'):
        options['bf'] = str(rng.integers(0, 4))
    if codec == 'mpeg2video' and rng.random() < .5:
        options.update(flags='+cgop', sc_threshold='1000000000')
    if codec.startswith('libvpx'):
        options.update({'deadline': 'realtime', 'cpu-used': '8'})
        options['lag-in-frames'] = str(rng.choice([0, 12]))
        options['auto-alt-ref'] = '1'
    if codec == 'libsvtav1':
        # With more threads version 4.1 may wait for itself for ever.
        options.update({'preset': '12', 'svtav1-params': 'lp=1'})
    return options


def _times(num_frames: int, rng: np.random.Generator, odd: bool) -> list:
    """Presentation times in frames; of a rate that varies if ``odd``."""
    steps = rng.choice([1, 1, 1, 2, 5], num_frames) if odd else np.ones(
        num_frames, int)
    return [0, *np.cumsum(steps[1:]).tolist()]


def _turn(stream, rng: np.random.Generator) -> int:
    turn = int(rng.choice([0, 0, 90, 180, 270]))
    if turn:
        stream.set_display_rotation(turn)
    return turn


def make_film(folder: Path, seed: int) -> Film:
    """Write a film of random kind.

    Args:
        folder (Path): Where to.
        seed (int): The same seed makes the same film.

    Returns:
        Film: The film.
    """
    rng = np.random.default_rng(seed)
    rest = (1 - sum(_SHARES.values())) / (len(_CONTAINERS) - len(_SHARES))
    shares = [_SHARES.get(codec, rest) for codec in _CONTAINERS]
    codec = str(rng.choice(list(_CONTAINERS), p=shares))
    suffix, *fragments = str(rng.choice(_CONTAINERS[codec])).split()
    num_frames = int(rng.integers(20, 161))
    height = int(rng.choice([64, 50, 72]))
    options = _options(codec, rng, height)
    odd_rate = suffix in ('.mp4', '.mkv', '.mov') and rng.random() < .2
    muxer = {'movflags': 'frag_keyframe+empty_moov'} if fragments else {}
    path = folder / f'{seed}{suffix}'
    rate = _RATES[rng.integers(len(_RATES))]
    if codec.startswith('mpeg') and codec != 'mpeg4':
        rate = Fraction(25)  # they know a few rates alone
    # A film that was cut without encoding it anew begins late.
    late = int(rng.integers(1, 2000)) if rng.random() < .2 else 0
    with av.open(str(path), 'w', options=muxer) as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = BITS * BAR, height
        stream.pix_fmt = _FORMATS.get(codec, 'yuv420p')
        stream.codec_context.thread_count = 1
        turn = _turn(stream, rng) if suffix in ('.mp4', '.mov') else 0
        for number, time in enumerate(_times(num_frames, rng, odd_rate)):
            image = av.VideoFrame.from_ndarray(
                picture(number, stream.width, height), format='rgb24')
            image.pts, image.time_base = time + late, 1 / rate
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    recipe = (f'{codec} {suffix} {" ".join(fragments)} {options} '
              f'{num_frames} frames at {rate}, from {late}, turned {turn}')
    if odd_rate:
        recipe += ', variable rate'
    # Of a picture that comes little by little no cut is whole.
    if 'intra-refresh' not in str(options) and rng.random() < .2:
        first = _place_of_cut(path, rng)
        path = cut_film(path, first)
        recipe += f', cut at packet {first}'
    return Film(str(path), recipe)


def _place_of_cut(path: Path, rng: np.random.Generator) -> int:
    """A packet to begin at: one of the first key frames, or any."""
    with av.open(str(path)) as source:
        packets = [p for p in source.demux(video=0) if p.size]
    if rng.random() < .3:
        return int(rng.integers(max(1, len(packets) // 3)))
    keys = [i for i, p in enumerate(packets) if p.is_keyframe]
    return int(rng.choice(keys[:3]))


def cut_film(path: Path, first: int) -> Path:
    """Begin behind some packets without encoding anew.

    Args:
        path (Path): The film.
        first (int): The packet to begin at.

    Returns:
        Path: A new file beside it; the old one if its packets have no times,
        or times that the container does not take (MPEG-PS read by FFmpeg).
    """
    target = path.with_name(f'{path.stem}_cut{path.suffix}')
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        packets = [p for p in source.demux(stream) if p.size][first:]
        if any(p.pts is None or p.dts is None for p in packets):
            return path
        base = packets[0].dts
        with av.open(str(target), 'w') as output:
            # Opaque, or it looks for an encoder by the name of the decoder.
            copy = output.add_stream_from_template(stream, opaque=True)
            for packet in packets:
                packet.pts -= base
                packet.dts -= base
                packet.stream = copy
                try:
                    output.mux(packet)
                except ArgumentError:
                    return path
    return target


def one_pass(path: str) -> List[np.ndarray]:
    """All frames as FFmpeg's command shows them in one pass."""
    frames = []
    with av.open(path) as container:
        packets = container.demux(video=0)
        # What is stored before the first key frame refers to what was cut.
        packets = dropwhile(lambda packet: not packet.is_keyframe, packets)
        for frame in chain.from_iterable(p.decode() for p in packets):
            turns = round(frame.rotation / 90)
            frames.append(np.rot90(command_pixels(frame), turns))
    return frames


def fault_of(film: Film, folder: Path, prepare: bool) -> tuple:
    """Compare random access with one pass.

    Args:
        film (Film): The film.
        folder (Path): For the prepared film, if the film is refused.
        prepare (bool): Prepare it in any case.

    Returns:
        tuple[str, str]: ``'read'`` or ``'refused'``, and what is wrong, empty
        if nothing is.
    """
    right = one_pass(film.path)
    if not right:  # cut behind the last key frame
        with pytest.raises(ValueError, match='no frame'):
            probe_video(film.path)
        return 'refused', ''
    rng = np.random.default_rng(len(right))
    state, fault, variable = 'read', '', False
    try:
        variable = probe_video(film.path).has_variable_rate
        reader = build_reader(film.path)
    except ValueError as error:
        state, fault = 'refused', ''
        if 'prepare_video.py' not in str(error):
            fault = f'refused without a remedy: {error}'
    else:
        fault = _read_fault(reader, right, rng)
    if not fault and not variable and (prepare or state == 'refused'):
        fault = _prepared_fault(film.path, folder, right)
    return state, fault


def _read_fault(reader, right: list, rng: np.random.Generator) -> str:
    if reader.num_frames != len(right):
        return f'{reader.num_frames} frames of {len(right)}'
    asked = rng.permutation(len(right))[:24]
    for numbers in np.array_split(asked, min(5, len(asked))):
        try:
            frames = reader.get_frames(numbers)
        except ValueError as error:
            return f'raised: {error}'
        for number, frame in zip(numbers, frames):
            # libjpeg's colours are not those of FFmpeg.
            exact = type(reader).__name__ == 'PyAVReader'
            if frame.shape != right[number].shape or (
                    np.abs(frame.astype(int) - right[number]).mean() > _GAP
                    or exact and not np.array_equal(frame, right[number])):
                return f'frame {number} is another picture'
    return ''


def _prepared_fault(path: str, folder: Path, right: list) -> str:
    videos, errors = prepare_videos([path], folder, PrepareSettings())
    if errors:
        return f'not prepared: {errors[path]}'
    reader = build_reader(str(videos[0].path))
    if reader.num_frames != len(right):
        return f'prepared: {reader.num_frames} frames of {len(right)}'
    for first in range(0, len(right), 8):
        numbers = range(first, min(first + 8, len(right)))
        for number, frame in zip(numbers, reader.get_frames(numbers)):
            gap = np.abs(frame.astype(int) - right[number]).mean()
            if frame.shape != right[number].shape or gap > _GAP:
                return f'prepared: frame {number} is another picture'
    return ''


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', type=int, default=400)
    parser.add_argument('--first', type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    counts, wrong = Counter(), 0
    for seed in range(args.first, args.first + args.seeds):
        with tempfile.TemporaryDirectory() as folder:
            os.environ['DORA_MM_CACHE'] = folder
            film = make_film(Path(folder), seed)
            state, fault = fault_of(film, Path(folder, 'out'), seed % 4 == 0)
        codec, suffix = film.recipe.split()[:2]
        counts[f'{codec} {suffix} {state}'] += 1
        if fault:
            wrong += 1
            print(f'{seed}: {film.recipe}: {fault}', flush=True)
    for name, count in sorted(counts.items()):
        print(f'{name:30} {count:4}')
    print(f'{args.seeds} films, {wrong} wrong')
    sys.exit(wrong > 0)


if __name__ == '__main__':
    main()
