import json
import shutil
import subprocess
from pathlib import Path

from dora_mm.utils.atomic_file import atomic_file
from dora_mm.video.readers.open_film import open_film

# deface hands pictures as RGB to FFmpeg, which would not say by which matrix
# it encodes them; sides need not be multiples of 16.
_ENCODER = dict(
    codec='libx264',
    quality=9,
    macro_block_size=2,
    output_params=[
        '-vf', 'scale=out_color_matrix=bt709:out_range=tv', '-colorspace',
        'bt709', '-color_range', 'tv'
    ])


def find_deface() -> str:
    """Find the program.

    Returns:
        str: Its path.

    Raises:
        ValueError: If it is not installed.
    """
    program = shutil.which('deface')
    if program is None:
        raise ValueError('--deface needs the program deface. Install it '
                         'with pip install deface, or leave the option out')
    return program


def deface_video(path: str, folder: Path) -> str:
    """Blur the faces in a video, unless that is done.

    Args:
        path (str): The original.
        folder (Path): Where the result is kept.

    Returns:
        str: The file with blurred faces, of the same number of frames.

    Raises:
        ValueError: If deface is missing or fails, or its result has not the
            frames of the original.
    """
    target = folder / 'defaced.mp4'
    if not target.exists():
        with atomic_file(target) as file:
            _run_deface(path, file.temporary)
    return str(target)


def _run_deface(path: str, target: Path) -> None:
    command = [
        find_deface(), '--output',
        str(target), '--ffmpeg-config',
        json.dumps(_ENCODER), path
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or not target.exists():
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise ValueError(f'deface failed on {path!r} with status '
                         f'{done.returncode}: {" ".join(lines[-3:])}')
    before, after = _num_packets(path), _num_packets(str(target))
    if before != after:
        raise ValueError(
            f'deface made {after} frames of the {before} of {path!r}, as it '
            'does where the frame rate varies. Prepare the video without '
            '--deface, run deface on the result and prepare that')


def _num_packets(path: str) -> int:
    container, stream = open_film(path)
    with container:
        return sum(packet.size > 0 for packet in container.demux(stream))
