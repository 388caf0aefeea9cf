from fractions import Fraction
from pathlib import Path
from typing import Sequence

import av

from dora_mm.utils.atomic_file import atomic_file
from dora_mm.video.readers.head_sums import sign_head
from dora_mm.video.readers.packet_sums import sign_h264


def assemble_parts(paths: Sequence[Path], target: Path, fps: Fraction) -> None:
    """Join videos of one encoder by copying their packets.

    Each packet of H.264 gets its checksum, as the JPEGs have theirs: of
    damage FFmpeg notices most, but not all. So does the header of the file,
    of which FFmpeg believes nearly all.

    Args:
        paths (Sequence[Path]): mp4 files, in order, without B frames.
        target (Path): File to write; it appears when it is complete.
        fps (Fraction): Frames per second of all of them.

    Raises:
        ValueError: If the parts come from encoders that do not match.
        OSError: If it cannot be written, a full disk say.
    """
    number = 0
    header = stream = None
    with atomic_file(target) as file:
        with av.open(str(file.temporary), 'w') as output:
            for path in paths:
                with av.open(str(path)) as container:
                    source = container.streams.video[0]
                    if stream is None:
                        stream = output.add_stream_from_template(source)
                        stream.time_base = 1 / fps
                        header = source.codec_context.extradata
                    # The one header of the file has to fit all parts.
                    if source.codec_context.extradata != header:
                        raise ValueError(
                            f'{paths[0].name} and {path.name} in '
                            f'{str(path.parent)!r} were written by different '
                            'versions of the encoder. Remove that folder and '
                            'use one installation for all jobs')
                    for packet in container.demux(source):
                        if packet.size == 0:  # the end of the stream
                            continue
                        if source.codec_context.name == 'h264':
                            signed = av.Packet(sign_h264(bytes(packet)))
                            signed.is_keyframe = packet.is_keyframe
                            packet = signed
                        packet.stream = stream
                        packet.time_base = 1 / fps
                        packet.pts = packet.dts = number
                        packet.duration = 1
                        output.mux(packet)
                        number += 1
        sign_head(str(file.temporary))
