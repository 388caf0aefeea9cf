from typing import Any

from .picture_error import PictureError

# FFmpeg's numbers of the matrices that swscale can be asked for: BT.709, FCC,
# BT.601 twice, SMPTE 240M, and BT.2020, which stands in for its form of
# constant luminance.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 6, 7: 7, 9: 9, 10: 9}
_BT601 = 6
# Those that neither it nor anything here converts.
_OTHERS = {
    8: 'YCgCo',
    11: 'SMPTE ST 2085',
    12: 'one derived from the primaries',
    13: 'one derived from the primaries, of constant luminance',
    14: 'ICtCp',
    15: 'IPT-C2',
    16: 'YCgCo-Re',
    17: 'YCgCo-Ro'
}


def set_color_matrix(frame: Any) -> None:
    """Make a frame name the matrix by which swscale is to convert it.

    A frame that does not say is taken for BT.601.

    Args:
        frame (av.VideoFrame): As decoded; changed in place.

    Raises:
        PictureError: If its matrix is none that can be converted.
    """
    number = int(frame.colorspace)
    form = frame.format
    if number in _OTHERS and not form.is_rgb and len(form.components) > 2:
        # Not at the top: the readers import this.
        from .readers.ffmpeg_command import ffmpeg_command

        raise PictureError(
            'the colour matrix must be that of BT.601, BT.709, BT.2020, FCC '
            f'or SMPTE 240M, but got {_OTHERS[number]}',
            'Convert it, or leave it out where that fails: ' +
            ffmpeg_command('-i FILE -vf zscale=matrix=709 OUT.mp4'))
    # Not by an argument of PyAV: that of 17 takes none for BT.2020.
    frame.colorspace = _MATRICES.get(number, _BT601)
