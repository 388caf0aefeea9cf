"""Colours survive, whatever the source says about them."""
import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

COLORS = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [220, 220, 30],
                   [30, 120, 120], [120, 40, 200], [250, 250, 250], [5, 5, 5]],
                  np.uint8)
SWSCALE = {1: Colorspace.ITU709, 6: Colorspace.ITU601, 9: Colorspace.BT2020}


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
            frame = av.VideoFrame.from_ndarray(
                bars, format='rgb24').reformat(
                    format=pix_fmt,
                    dst_colorspace=SWSCALE[matrix],
                    src_color_range=2,
                    dst_color_range=color_range)
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
        (288, 9, 1, 'yuv420p10le', True)
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
