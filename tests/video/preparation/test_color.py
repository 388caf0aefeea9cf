"""Colours survive, whatever the source says about them."""
from enum import IntEnum
from importlib import reload

import av
import numpy as np
import pytest

from dora_mm.video import plane_scaler

COLORS = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [220, 220, 30],
                   [30, 120, 120], [120, 40, 200], [250, 250, 250], [5, 5, 5]],
                  np.uint8)
# The shares of red and blue in the luma of the standards (ITU-T H.273, table
# 4) by FFmpeg's numbers.
LUMA = {
    1: (.2126, .0722),
    4: (.3, .11),
    5: (.299, .114),
    6: (.299, .114),
    7: (.212, .087),
    9: (.2627, .0593),
    10: (.2627, .0593)
}


def to_frame(rgb, matrix, full_range, pix_fmt):
    """A frame of even bars in YCbCr 4:2:0, by the standard's formulas."""
    red, blue = LUMA[matrix]
    r, g, b = np.moveaxis(rgb / 255, -1, 0)
    luma = red * r + (1 - red - blue) * g + blue * b
    chroma = [((c - luma) / (2 - 2 * share))[::2, ::2]
              for c, share in ((b, blue), (r, red))]
    y, c, zero = (255, 255, 0) if full_range else (219, 224, 16)
    kind, steps = (np.uint16, 4) if '10le' in pix_fmt else (np.uint8, 1)
    frame = av.VideoFrame(rgb.shape[1], rgb.shape[0], pix_fmt)
    for plane, values in zip(
            frame.planes, [zero + y * luma, *(128 + c * x for x in chroma)]):
        rows = np.zeros((len(values), plane.line_size // kind().nbytes), kind)
        rows[:, :values.shape[1]] = (steps * values).round()
        plane.update(rows)
    frame.color_range = 2 if full_range else 1
    return frame


def write_bars(path, height, matrix, color_range, pix_fmt, tagged):
    width = 2 * height
    bars = np.tile(COLORS.repeat(width // 8, axis=0), (height, 1, 1))
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(
            'libx264', rate=10, options=dict(crf='1', preset='ultrafast'))
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        if tagged:
            stream.codec_context.colorspace = matrix
            stream.codec_context.color_range = color_range
        for number in range(3):
            frame = to_frame(bars, matrix, color_range == 2, pix_fmt)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize('encoding', ['mjpeg', 'h264'])
@pytest.mark.parametrize(
    'height, matrix, color_range, pix_fmt, tagged',
    [
        (288, 1, 1, 'yuv420p', True),
        (288, 6, 1, 'yuv420p', True),
        (288, 6, 1, 'yuv420p', False),
        (720, 6, 1, 'yuv420p', False),  # whatever its size
        (288, 1, 2, 'yuv420p', True),
        (288, 4, 1, 'yuv420p', True),
        (288, 7, 1, 'yuv420p', True),
        (288, 9, 1, 'yuv420p10le', True),
        (288, 10, 1, 'yuv420p10le', True),  # BT.2020 with constant luminance
    ])
def test_colors(encoding, height, matrix, color_range, pix_fmt, tagged,
                tmp_path, prepare, frames):
    path = tmp_path / 'bars.mp4'
    write_bars(path, height, matrix, color_range, pix_fmt, tagged)
    done = prepare(path, encoding, 144)
    picture = frames(done.path)[0]
    assert picture.shape == (144, 288, 3)
    found = picture[72, 18::36].astype(int)
    assert np.abs(found - COLORS).max() <= 7
    # The matrices differ by more than that, so a wrong one would show.
    if encoding == 'mjpeg':
        import simplejpeg
        with av.open(str(done.path)) as container:
            jpeg = bytes(next(container.demux(video=0)))
        plain = simplejpeg.decode_jpeg(jpeg)[72, 18::36].astype(int)
        assert np.abs(plain - COLORS).max() <= 7


def test_names_that_pyav_17_has_are_enough(monkeypatch):
    """It is the last one for Python 3.10; nothing could be prepared there."""
    names = dict(ITU709=1, FCC=4, ITU601=5, SMPTE240M=7)
    monkeypatch.setattr(av.video.reformatter, 'Colorspace',
                        IntEnum('Colorspace', names))
    reload(plane_scaler)
