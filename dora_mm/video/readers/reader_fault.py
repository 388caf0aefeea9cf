import hashlib
import json

from dora_mm.utils.atomic_file import atomic_file
from dora_mm.utils.read_json import read_json
from dora_mm.video.file_identity import file_identity
from .decode_prefix import decode_prefix, prefix_length
from .find_fault import around, find_fault, places_to_read
from .load_video_index import index_file, load_video_index
from .pyav_reader import PyAVReader


def _digest(fault: str) -> str:
    return hashlib.sha256(fault.encode()).hexdigest()


def reader_fault(path: str, cls: type) -> str:
    """What a reader does wrong on a file; checked once per file and machine.

    Args:
        path (str): The file.
        cls (type): The reader; the verdict is saved beside the index.

    Returns:
        str: The first difference from decoding from the start; empty if none
        was found.
    """
    file = index_file(path).with_suffix(f'.{cls.__name__}.json')
    identity = dict(version=1, **file_identity(path))
    saved = read_json(file)
    if isinstance(saved, dict) and saved.get('identity') == identity:
        fault = saved.get('fault')
        if isinstance(fault, str) and saved.get('digest') == _digest(fault):
            return fault
    index = load_video_index(path)
    pixels = index.width * index.height
    stop = prefix_length(index.num_frames, pixels)
    places = places_to_read(index, stop, pixels)
    wanted = [n for p in places for n in around(p, stop)]
    right = decode_prefix(path, wanted, PyAVReader(path), stop)
    reader = cls(path)
    fault = find_fault(reader, places, right.pictures)
    reader.close()
    try:
        with atomic_file(file) as target:
            target.temporary.write_text(
                json.dumps(
                    dict(
                        identity=identity, fault=fault,
                        digest=_digest(fault))))
    except OSError:
        pass  # load_video_index has said so
    return fault
