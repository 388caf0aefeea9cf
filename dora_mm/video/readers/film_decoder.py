from typing import Any, List, Optional, Set

from av import Packet
from av.bitstream import BitStreamFilterContext
from av.error import FFmpegError

from .open_film import is_end, open_film

# Their decoders can leave out pictures that no other one refers to.
_SKIPPING_CODECS = ('h264', 'hevc')
_ONLY_IDR = 'filter_units=pass_types=5'


class FilmDecoder:
    """Decodes packets of a film, and reports errors instead of concealing.

    A film of H.264 that was cut from a longer one may tell the decoder to
    drop pictures that were cut off. That is an error, too, and FFmpeg then
    withholds the picture that it was to hand out. So up to the second key
    frame of such a film pictures are those of another decoder, which conceals
    errors and marks the frames where it does; what it does not mark is what
    the film shows.

    Args:
        path (str): The film.
        stream (av.VideoStream): Of :func:`open_film`.
        from_start (bool): The first packet will be the film's first key
            frame. Defaults to True.
    """

    def __init__(self,
                 path: str,
                 stream: Any,
                 from_start: bool = True) -> None:
        self._path = path
        self._stream = stream
        self._ended = False
        self._begin(stream.codec_context, from_start)

    def _begin(self, context: Any, from_start: bool) -> None:
        self._context = context
        self._at_start = from_start and context.name == 'h264'
        self._concealing: Optional[Any] = None
        self._shown: Set[int] = set()  # times, by the concealing decoder

    def decode(self, packet: Any) -> List[Any]:
        """Decode a packet.

        Args:
            packet (av.Packet): The packet, or None for what is left. Behind
                the one that ends a recording another one may begin.

        Returns:
            list[av.VideoFrame]: What comes out of the decoder.

        Raises:
            av.error.FFmpegError: If the packet is damaged.
        """
        if self._ended:  # the next one may have the same times
            self._begin(self._opened(), True)
        self._ended = packet is not None and is_end(packet)
        if self._ended:
            packet = None
        if self._at_start and packet is not None:
            self._at_start = False
            if not self._is_idr(packet):
                self._concealing = self._opened(conceals=True)
        elif self._concealing and packet is not None and packet.is_keyframe:
            left = self._note(self._concealing.decode(None))
            self._concealing = None
            return left + self._new(self._context.decode(packet))
        if self._concealing is None:
            return self._new(self._context.decode(packet))
        try:
            self._context.decode(packet)
        except FFmpegError:
            pass
        return self._note(self._concealing.decode(packet))

    def skip_unless(self, wanted: bool) -> None:
        """Leave out the next picture if no other one refers to it.

        Args:
            wanted (bool): Leave out none. With more threads than one, none
                is left out in any case.
        """
        for context in filter(None, (self._context, self._concealing)):
            if (context.thread_count == 1
                    and context.codec.canonical_name in _SKIPPING_CODECS):
                context.skip_frame = 'DEFAULT' if wanted else 'NONREF'

    def renew(self) -> None:
        """Go on with a new decoder, from a key frame on, behind an error.

        That of H.264 keeps coefficients of a picture that it broke off, and
        adds them to a later one, flushed or not.
        """
        self._at_start, self._concealing = False, None
        self._context = self._opened()

    def _opened(self, conceals: bool = False) -> Any:
        container, stream = open_film(self._path, self._context.thread_count,
                                      conceals)
        with container:
            return stream.codec_context

    def _is_idr(self, packet: Any) -> bool:
        """Whether a key frame of H.264 clears what was decoded before."""
        units = BitStreamFilterContext(_ONLY_IDR, self._stream)
        try:
            return bool(units.filter(Packet(bytes(packet))))  # it is emptied
        except FFmpegError:  # damaged
            return True

    def _note(self, frames: List[Any]) -> List[Any]:
        self._shown |= {frame.pts for frame in frames}
        return frames

    def _new(self, frames: List[Any]) -> List[Any]:
        """Without what the other decoder has shown."""
        if not self._shown:
            return frames
        return [frame for frame in frames if frame.pts not in self._shown]
