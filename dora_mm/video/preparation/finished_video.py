from pathlib import Path
from typing import List, Optional

from av.error import FFmpegError

from dora_mm.video.readers.open_film import open_film
from dora_mm.video.readers.packet_sums import own_sum_fits
from dora_mm.video.readers.probe_video import probe_video
from dora_mm.video.readers.warn import warn
from dora_mm.video.video_manifest import VideoManifest
from .prepare_settings import PrepareSettings

# A setting that videos of JPEGs did not have at first, and are right without.
_NEW = 'most_blocks_a_stretch'


def find_finished(path: Path, identity: dict, settings: PrepareSettings,
                  overwrite: bool) -> Optional[VideoManifest]:
    """Find out whether a video is prepared already.

    Args:
        path (Path): Where the result belongs.
        identity (dict): Of the source, see
            :func:`content_identity`.
        settings (PrepareSettings): How it is to be prepared.
        overwrite (bool): Whether a file of something else, or one that is
            damaged, may be replaced. Without it damage is not looked for.

    Returns:
        VideoManifest | None: None if there is something to do.

    Raises:
        ValueError: If a result of other settings or of another source, or a
            file that this tool has not written, is in the way. The message
            says what differs. A manifest of ours that is damaged is not: it
            is made anew with its video, and a warning says so.
    """
    if not path.exists():
        return None
    try:
        manifest = VideoManifest.load(path)
    except ValueError:
        if overwrite:
            return None
        if VideoManifest.was_one(path):
            warn(f'{VideoManifest.path_of(path)} is damaged: the video is '
                 'prepared anew')
            return None
        raise
    differences = ['it has no manifest, so this tool has not written it']
    if manifest is not None:
        differences = _differences(manifest, path, identity, settings)
    if not differences and not _is_earlier(manifest, settings) and not (
            overwrite and _is_damaged(path, manifest)):
        return manifest
    if overwrite:
        return None
    if not differences:
        warn(f'{str(path)!r} was prepared by an earlier version: its clips '
             'take about 1.7 times as long to read as those of a new file. '
             '--overwrite makes it anew')
        return manifest
    raise ValueError(
        f'{str(path)!r} exists, but {"; ".join(differences)}. Use '
        '--overwrite to replace it, or another --out-dir')


def _differences(manifest: VideoManifest, path: Path, identity: dict,
                 settings: PrepareSettings) -> List[str]:
    wanted = settings.to_dict()
    if _is_earlier(manifest, settings):
        del wanted[_NEW]
    rows = [('the setting', manifest.settings, wanted),
            ("the source's", manifest.source, _known(identity, manifest)),
            ("the file's", dict(bytes=manifest.bytes),
             dict(bytes=path.stat().st_size))]
    return [
        f'{what} {name} was {old.get(name)!r} and is {value!r}'
        for what, old, new in rows for name, value in new.items()
        if old.get(name) != value
    ]


def _is_earlier(manifest: VideoManifest, settings: PrepareSettings) -> bool:
    return _NEW in settings.to_dict() and _NEW not in manifest.settings


def _is_damaged(path: Path, manifest: VideoManifest) -> bool:
    """Whether frames are lost, or packets differ from their checksums."""
    try:
        if probe_video(str(path)).num_frames != manifest.num_frames:
            return True
        container, stream = open_film(str(path))
        with container:
            found = {
                own_sum_fits(packet)
                for packet in container.demux(stream) if packet.size
            }
        # One without a checksum beside others that have some has lost it.
        return False in found or found == {True, None}
    except (ValueError, FFmpegError):
        return True


def _known(identity: dict, manifest: VideoManifest) -> dict:
    """What is to agree of a source; the name only for want of its content."""
    content = 'sample_sha256' in manifest.source
    other = 'name' if content else 'sample_sha256'
    return {key: value for key, value in identity.items() if key != other}
