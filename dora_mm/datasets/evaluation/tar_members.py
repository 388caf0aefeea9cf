import tarfile
from os import PathLike
from typing import List, Union

# A whole tar file ends in zeros, at least a block of them and at most what
# fills up a record; more is a hole.
_BLOCK, _RECORD = 512, 1 << 20


def tar_members(path: Union[str, PathLike]) -> List[tarfile.TarInfo]:
    """What an uncompressed tar file holds, folders aside.

    Args:
        path (str | Path): The file, known to be whole afterwards.

    Returns:
        list[TarInfo]: In the order of the file; ``offset_data`` and ``size``
        in bytes.

    Raises:
        ValueError: If it is compressed or not whole.
    """
    try:
        with tarfile.open(path, 'r:') as archive:
            members = archive.getmembers()
            end = archive.offset
    except tarfile.TarError as error:
        raise ValueError(
            f'{path} must be a folder or a whole tar file, but is no '
            f'uncompressed tar file ({error}): unpack it and give the folder, '
            'or get it again') from error
    # tarfile takes whatever is no header for the end
    with open(path, 'rb') as file:
        file.seek(end)
        tail = file.read(_RECORD + _BLOCK)
    if len(tail) < _BLOCK or any(tail) or len(tail) > _RECORD:
        raise ValueError(
            f'{path} must be a whole tar file, but after byte {end} it does '
            f'not end as one does ({len(members)} entries): get it again')
    return [member for member in members if not member.isdir()]
