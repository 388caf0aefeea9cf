"""Recordings one behind the other, as ``cat a.ts b.ts`` makes them.

The frames have numbers in their pictures; FFmpeg's program shows them in this
order.
"""
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from bar_films import HEIGHT, WIDTH, number_of, prepared, write
from video_factory import write_video

from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos
from dora_mm.video.preparation.source_video import SourceVideo
from dora_mm.video.readers import VideoDecodeError, build_reader
from dora_mm.video.readers.scan_video import scan_video

PLAIN = 'keyint=12:bframes=0'
PACKET = 188  # bytes of MPEG-TS
NUM = 30
NUMBERS = [*range(NUM), *range(100, 100 + NUM)]


def join(tmp_path, ending='.ts', starts=(0, 0), **options):
    """Two recordings of 30 frames, from 0 and from 100 on."""
    data = [
        open(
            write(
                tmp_path / f'{first}{ending}',
                num=NUM,
                first=first,
                start=start,
                **options), 'rb').read()
        for first, start in zip((0, 100), starts)
    ]
    path = tmp_path / f'joined{ending}'
    path.write_bytes(b''.join(data))
    return str(path)


def pid_of(data, place):
    """What kind of packet begins there; 0x100 is the picture."""
    return int.from_bytes(data[place + 1:place + 3], 'big') & 0x1fff


def by_program(path):
    """Numbers of all frames as FFmpeg's program shows them."""
    data = open(path, 'rb').read()
    copy = f'{path}.copy'
    with open(copy, 'wb') as file:
        for place in range(0, len(data), PACKET):
            # This build crashes at the name of a broadcaster.
            if pid_of(data, place) != 0x11:
                file.write(data[place:place + PACKET])
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-i', copy]
    command += ['-fps_mode', 'passthrough', '-pix_fmt', 'rgb24']
    shown = subprocess.run([*command, '-f', 'rawvideo', '-'],
                           capture_output=True,
                           check=True).stdout
    shown = np.frombuffer(shown, np.uint8).reshape(-1, HEIGHT, WIDTH, 3)
    return [number_of(picture) for picture in shown]


@pytest.mark.parametrize('kind', [
    dict(x264=PLAIN),
    dict(x264='keyint=12:bframes=3'),
    dict(x264=PLAIN, starts=(500, 0)),
    dict(x264=PLAIN, starts=(0, 500)),
    dict(codec='mpeg2video', g='12', bf='2', starts=(20, 0)),
    dict(codec='mpeg2video', ending='.mpg', starts=(500, 0)),
])
def test_both_are_prepared(tmp_path, kind):
    """Whatever the times of the second are: the same, earlier or later."""
    path = join(tmp_path, **kind)
    with pytest.raises(ValueError, match='Prepare it: python'):
        build_reader(path)
    copy, manifest = prepared(path, tmp_path / 'out')
    assert manifest.excluded == () and manifest.fps == 25
    frames = build_reader(copy).get_frames(range(2 * NUM))
    assert [number_of(frame) for frame in frames] == NUMBERS
    if path.endswith('.ts'):
        assert by_program(path) == NUMBERS


def numbers_of(path):
    """Pairs of the number that a frame has and the one that it shows."""
    source = SourceVideo(str(path))
    return [(number, number_of(frame.to_ndarray(format='rgb24')))
            for number, frame in source.sound_frames(
                0, source.index.num_frames)]  # yapf: disable


@pytest.mark.parametrize('x264', [PLAIN, 'keyint=12:bframes=3'])
def test_what_is_lost_is_no_other_frame(tmp_path, x264):
    """A packet that a broadcast lost: nothing behind it has a number."""
    data = open(join(tmp_path, x264=x264), 'rb').read()
    path, stops = tmp_path / 'lost.ts', set()
    for share in (.2, .3, .6, .8):
        place = int(share * len(data)) // PACKET * PACKET
        while pid_of(data, place) != 0x100:
            place += PACKET
        path.write_bytes(data[:place] + data[place + PACKET:])
        found = numbers_of(path)
        assert found == list(enumerate(NUMBERS))[:len(found)]
        stops.add(len(found))
    assert len(stops) > 2 and max(stops) < 2 * NUM


def test_recordings_are_prepared_apart(tmp_path):
    """The remedy, where too much lies behind a lost packet."""
    path = join(tmp_path, x264=PLAIN)
    data = open(path, 'rb').read()
    place = len(data) // 5 // PACKET * PACKET
    with open(path, 'wb') as file:
        file.write(data[:place] + data[place + PACKET:])
    _, errors = prepare_videos([path], tmp_path / 'no', PrepareSettings())
    assert 'prepare the recordings that it was joined' in str(errors[path])
    first = (tmp_path / '0.ts').read_bytes()
    (tmp_path / 'first.ts').write_bytes(first[:place] +
                                        first[place + PACKET:])
    for name, numbers in (('first', NUMBERS[:NUM]), ('100', NUMBERS[NUM:])):
        copy, manifest = prepared(
            str(tmp_path / f'{name}.ts'), tmp_path / name)
        frames = build_reader(copy).get_frames(range(manifest.num_frames))
        left_out = {n for a, b, _ in manifest.excluded for n in range(a, b)}
        shown = {number_of(frame) for n, frame in enumerate(frames)
                 if n not in left_out}  # yapf: disable
        assert shown <= set(numbers) and {numbers[0], numbers[-1]} <= shown
        assert bool(left_out) == (name == 'first')


def test_each_may_begin_between_key_frames(tmp_path):
    """What was cut off cannot be shown, and nothing else is lost."""
    path = join(tmp_path, x264='keyint=12:open-gop=1:bframes=2:b-adapt=0')
    data, kept, frames = open(path, 'rb').read(), [], 0
    for place in range(0, len(data), PACKET):
        picture = pid_of(data, place) == 0x100
        frames += bool(picture and data[place + 1] & 0x40)  # one begins
        if not picture or 5 < (frames - 1) % NUM + 1:
            kept.append(data[place:place + PACKET])
    (tmp_path / 'cut.ts').write_bytes(b''.join(kept))
    found = [number for _, number in numbers_of(tmp_path / 'cut.ts')]
    first = found[0]
    assert 0 < first <= 12 and found == [*range(first, NUM),
                                         *range(100 + first, 100 + NUM)]


@pytest.mark.parametrize('ending, codec', [('.mp4', 'libx264'),
                                           ('.mov', 'libx264'),
                                           ('.flv', 'libx264'),
                                           ('.asf', 'wmv2')])
def test_what_is_read_only_once_is_refused(tmp_path, ending, codec):
    """FFmpeg reads the first of them and says nothing."""
    path = tmp_path / f'two{ending}'
    one = write_video(tmp_path / f'one{ending}', 30, codec=codec)
    path.write_bytes(open(one, 'rb').read() * 2)
    with pytest.raises(VideoDecodeError, match='one recording, but got 2'):
        build_reader(str(path))
    _, errors = prepare_videos([str(path)], tmp_path / 'out',
                               PrepareSettings('mjpeg'))
    assert 'one recording, but got 2' in str(errors)
    assert not list(tmp_path.glob('out/*'))
    # What the message tells to do.
    kept = str(tmp_path / f'kept{ending}')
    subprocess.run([
        imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-i', path, '-c',
        'copy', kept
    ], check=True)  # yapf: disable
    for single in (one, kept):
        assert scan_video(str(single)).num_frames == 30


@pytest.mark.parametrize('flags', ['faststart', 'frag_keyframe+empty_moov'])
def test_one_recording_is_one(tmp_path, flags):
    path = write_video(tmp_path / 'one.mp4', 30, movflags=flags)
    with open(path, 'ab') as file:  # as some cameras add what is their own
        file.write(bytes([0, 0, 0, 16]) + b'skipftypmoov' + bytes(7))
    assert scan_video(str(path)).num_frames == 30
