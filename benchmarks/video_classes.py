"""Small numbered videos, one of each kind that readers get wrong."""
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from make_test_video import encode, numbered_frames

from dora_mm.utils.atomic_file import atomic_file

SIZE, FPS = (320, 180), 30
# First frame that is shown of the file with an edit list; its key frame is 50.
FIRST_SHOWN = 73
_H264 = dict(preset='veryfast', crf='20', g='50', bf='3', b_strategy='0')
_FRAGMENTS = dict(movflags='frag_keyframe+empty_moov+default_base_moof')


def _times_of_variable_rate(num_frames):
    """Times in units of 1 / (20 FPS) seconds, with gaps of 1/2 to 3 frames."""
    rng = np.random.default_rng(0)
    steps = rng.choice([10, 20, 20, 20, 30, 60], num_frames - 1)
    return [0] + np.cumsum(steps).tolist()


def cut(source, path, first):
    """Begin a video inside a group of pictures without encoding it anew.

    The frames of the group before the first one shown stay in the file, and
    an edit list hides them: what ``ffmpeg -ss SECONDS -i SOURCE -c copy``
    makes.

    Args:
        source (str | Path): Video of constant frame rate.
        path (str | Path): File to write, ``.mp4``.
        first (int): Number of the first frame that is shown.
    """
    with atomic_file(path) as file:
        with av.open(str(source)) as container, \
                av.open(str(file.temporary), 'w') as output:
            original = container.streams.video[0]
            stream = output.add_stream_from_template(original)
            begin = round(
                Fraction(first) / original.average_rate / original.time_base)
            container.seek(begin, stream=original)
            for packet in container.demux(original):
                if packet.size == 0:
                    continue
                packet.pts -= begin
                packet.dts -= begin
                packet.stream = stream
                output.mux(packet)


def class_settings(num_frames):
    """Name -> extension, encoder, its options, arguments of ``encode``."""
    # 52 is a multiple of 4: three B frames before each key frame.
    open_gop = dict(_H264, g='52', **{'x264-params': 'open-gop=1'})
    vp9 = dict(
        deadline='realtime', crf='30', b='0', g='60', lag_in_frames='16')
    vp9['cpu-used'], vp9['auto-alt-ref'] = '6', '1'
    return dict(
        closed_gop=('.mp4', 'libx264', _H264, {}),
        open_gop=('.mp4', 'libx264', open_gop, {}),
        variable_rate=('.mp4', 'libx264', _H264,
                       dict(times=_times_of_variable_rate(num_frames))),
        fragmented=('.mp4', 'libx264', _H264, _FRAGMENTS),
        matroska=('.mkv', 'libx264', _H264, {}),
        vp9=('.webm', 'libvpx-vp9', vp9, {}),
        # x265 makes open groups unless it is told not to.
        hevc=('.mp4', 'libx265',
              dict(preset='veryfast', crf='24', g='50',
                   **{'x265-params': 'log-level=error'}), {}),
        # With more threads SVT-AV1 4.1 may wait for itself for ever.
        av1=('.mp4', 'libsvtav1', {
            'preset': '8',
            'crf': '30',
            'g': '50',
            'svtav1-params': 'lp=1'
        }, {}),
        mpeg_ts=('.ts', 'libx264', _H264, {}))  # yapf: disable


def more_settings():
    """More kinds, as :func:`class_settings`, for exact_reads alone."""

    def x264(params, **rest):
        return dict(
            preset='veryfast', crf='20', **rest, **{'x264-params': params})

    mpeg = dict(g='12', bf='2', b='2000000')
    fast = dict(deadline='realtime', g='60', b='1000000')
    plain = x264('keyint=50:bframes=3')
    rows = dict(
        avi=('.avi', 'libx264', x264('keyint=12:bframes=0')),
        avi_b_frames=('.avi', 'libx264', x264('keyint=12:bframes=3')),
        intra_refresh=('.mp4', 'libx264', x264('intra-refresh=1:keyint=30')),
        intra_refresh_mkv=('.mkv', 'libx264',
                           x264('intra-refresh=1:keyint=60')),
        pyramid=('.mp4', 'libx264',
                 x264('keyint=60:bframes=6:b-pyramid=normal')),
        strict_pyramid=('.mov', 'libx264',
                        x264('keyint=60:bframes=6:b-pyramid=strict')),
        open_gop_mkv=('.mkv', 'libx264',
                      x264('open-gop=1:keyint=52:bframes=3')),
        open_gop_flv=('.flv', 'libx264',
                      x264('open-gop=1:keyint=52:bframes=3')),
        interlaced=('.mp4', 'libx264', x264('interlaced=1:keyint=50')),
        all_intra=('.mp4', 'libx264', x264('keyint=1')),
        one_gop=('.mp4', 'libx264', x264('keyint=9999:scenecut=0')),
        quicktime=('.mov', 'libx264', plain),
        flash=('.flv', 'libx264', plain),
        mpeg4_avi=('.avi', 'mpeg4', mpeg),
        mpeg4_mp4=('.mp4', 'mpeg4', mpeg),
        mpeg2_ps=('.mpg', 'mpeg2video', mpeg),
        mpeg2_ts=('.ts', 'mpeg2video', mpeg),
        mpeg1_ps=('.mpg', 'mpeg1video', mpeg),
        wmv=('.wmv', 'wmv2', dict(g='12', b='2000000')),
        asf=('.asf', 'msmpeg4', dict(g='12', b='2000000')),
        vp8=('.webm', 'libvpx', fast),
        ffv1=('.mkv', 'ffv1', {}),
        nut=('.nut', 'libx264', plain))
    rows = {name: (*row, {}) for name, row in rows.items()}
    for name, pix_fmt in (('ten_bit', 'yuv420p10le'), ('yuv422', 'yuv422p'),
                          ('yuv444', 'yuv444p'), ('grey', 'gray')):
        rows[name] = ('.mp4', 'libx264', plain, dict(pix_fmt=pix_fmt))
    rows['mjpeg_avi'] = ('.avi', 'mjpeg', dict(q='3'),
                         dict(pix_fmt='yuvj420p'))
    rows['prores'] = ('.mov', 'prores_ks', {}, dict(pix_fmt='yuv422p10le'))
    return rows


def make_classes(folder, source=None, more=False, num_frames=600):
    """Make the small files, each of which tests one thing.

    Frame n carries the number n; in ``edit_list.mp4`` the first frame shown
    carries ``FIRST_SHOWN``. An encoder that PyAV was built without is left
    out, and said so.

    Args:
        folder (str | Path): Where to write; made if it is missing.
        source (str | Path, optional): Video that the pictures come from.
            Defaults to None, the demo video.
        more (bool): Also those of :func:`more_settings`. Defaults to False.
        num_frames (int): Frames of each. Defaults to 600.

    Returns:
        list[Path]: The files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # SVT-AV1 takes no other way to be quiet.
    os.environ.setdefault('SVT_LOG', '1')
    frames = list(numbered_frames(source, SIZE, num_frames, FPS))
    paths = []
    settings = class_settings(num_frames)
    if more:
        settings.update(more_settings())
    for name, (suffix, codec, options, rest) in settings.items():
        path = folder / f'{name}{suffix}'
        try:
            encode(path, frames, FPS, codec, options, **rest)
        except (av.error.FFmpegError, ValueError) as error:
            print(f'{path.name} is left out: {codec}: {error}')
            continue
        paths.append(path)
        if name == 'closed_gop':
            paths.append(folder / 'edit_list.mp4')
            cut(path, paths[-1], FIRST_SHOWN)
    return paths
