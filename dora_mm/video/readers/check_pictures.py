"""Find out whether pictures can be made of what a decoder gives."""
from itertools import chain, islice
from typing import Optional, Set

import av

from dora_mm.video.display import Display
from dora_mm.video.picture_error import PictureError
from .ffmpeg_command import ffmpeg_command
from .film_decoder import FilmDecoder
from .open_film import film_packets, open_film
from .pyav_reader import PyAVReader
from .video_decode_error import VideoDecodeError


def check_pictures(path: str, reader: PyAVReader) -> None:
    """Make a picture of a film's first frame, and look how it is turned.

    Errors of the decoder are not looked for: others tell where they are.

    Args:
        path (str): The film.
        reader (PyAVReader): Of the film, with its index.

    Raises:
        VideoDecodeError: If the film cannot be shown as it says. The message
            names the remedy.
    """
    container, stream = open_film(path)
    with container:
        try:
            frames = list(
                islice(
                    chain.from_iterable(
                        map(
                            FilmDecoder(path, stream).decode,
                            film_packets(container, stream))), 2))
        except av.error.FFmpegError:
            return
        if not frames or frames[0].is_corrupt:
            return
        check_turns(path, {Display.matrix_of(frame) for frame in frames})
        try:
            reader.to_rgb(frames[0], stream)
        except PictureError as error:
            raise VideoDecodeError(path, error.reason, error.remedy) from error
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoDecodeError(
                path, f'no picture can be made of its frames ({error})',
                'Encode it anew, or leave it out where that fails: ' +
                ffmpeg_command('-i FILE OUT.mp4')) from error


def check_turns(path: str, turns: Set[Optional[bytes]]) -> None:
    """Refuse a film of which FFmpeg says for some frames alone how to turn.

    A message in H.264 and HEVC says it, which holds on, but comes out of the
    decoder with one frame. What a container says comes with each.

    Args:
        path (str): The film.
        turns (set[bytes | None]): Display matrices of its frames.

    Raises:
        VideoDecodeError: If they differ.
    """
    if len(turns) > 1:
        raise VideoDecodeError(
            path, 'it must say in its container how its pictures are turned, '
            'but says so in the stream, for some of the frames',
            'Encode it anew, which turns the pictures: ' +
            ffmpeg_command('-i FILE OUT.mp4'))
