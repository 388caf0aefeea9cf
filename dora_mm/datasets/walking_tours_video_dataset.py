import inspect
import logging
import time
from dataclasses import fields
from typing import Callable, List, Optional, Sequence, Tuple, Union

import torch
from mmengine.dataset import Compose
from mmengine.logging import print_log
from torch.utils.data import Dataset

from dora_mm.models.utils.setting_checks import check_integer
from dora_mm.registry import DATASETS
from dora_mm.utils.counted import counted
from dora_mm.video.readers import VideoDecodeError, VideoInfo
from dora_mm.video.readers.probe_video import probe_video
from dora_mm.video.video_files import PathLike, find_video_files
from dora_mm.video.video_manifest import VideoManifest
from .check_pipeline import check_pipeline
from .clip_index import ClipIndex, FileClips
from .clip_request import ClipRequest
from .clip_spacing import ClipSpacing
from .load_or_replace import load_or_replace
from .transforms import LoadClipFromVideo


@DATASETS.register_module()
class WalkingToursVideoDataset(Dataset):
    """Clips of ``clip_len`` frames from hours-long videos.

    Every start frame is a sample. Nothing is stored for a clip: an index is
    turned into a file and a start frame by arithmetic, so the memory depends
    on the number of files only. Frames per second and number of frames are
    read from each file when the dataset is built, in the main process. Clips
    with a frame that the preparation found to be blank, frozen or
    undecodable (:class:`VideoManifest`) are left out, and so are clips across
    a shot cut: those whose first frame lies before the first frame of a shot
    and whose last frame is that frame or lies behind it.

    Neighbouring frames of a clip are ``step`` frames apart. With
    ``frame_interval`` the step is ``round(fps * frame_interval)`` of each
    file, and a file of F frames has ``F - (clip_len - 1) * step`` clips, all
    there are. With ``frame_stride`` the step is given, and a file has
    ``F - clip_len * step`` clips, as in the authors' code: the last ``step``
    start frames are left out, so an epoch has the length of theirs.

    Differs from the authors' code: any number of videos, frames per second
    are respected, and an unreadable clip is replaced instead of being tried
    for ever. The other clip is a function of the seed, so a run stays
    reproducible. :class:`dora_mm.engine.hooks.ReplacedClipHook` stops a run
    with too many of them.

    Args:
        video (str | Path | Sequence): A file, a folder (all videos below it)
            or a list of them; see
            :func:`dora_mm.video.video_files.find_video_files`.
        data_root (str | Path): Folder that relative paths start from.
            Defaults to ''.
        clip_len (int): Frames in a clip, T. Defaults to 8.
        frame_interval (float, optional): Seconds between neighbouring frames.
            Exactly one of this and ``frame_stride`` is given.
        frame_stride (int, optional): Frames from one frame to the next.
        start_stride (int): Use every n-th start frame only. Defaults to 1.
        pipeline (Sequence): Transforms, normally LoadClipFromVideo,
            ClipRandomResizedCrop and PackClipInputs. Defaults to ().
        max_replacements (int): How many other clips are tried for one that
            cannot be decoded. Defaults to 8.
        across_cuts (bool): Whether clips may cross shot cuts. Where the cuts
            of a video are not known they may, with a warning. Defaults to
            False.

    Raises:
        TypeError: If ``video`` is not a path or a list of paths.
        ValueError: If an argument is out of range, or a file is missing, not
            a video, or not readable; the message names it and the remedy. A
            file shorter than a clip is left out with a warning, unless none
            remains.
    """

    def __init__(self,
                 video: Union[PathLike, Sequence[PathLike]],
                 data_root: PathLike = '',
                 clip_len: int = 8,
                 frame_interval: Optional[float] = None,
                 frame_stride: Optional[int] = None,
                 start_stride: int = 1,
                 pipeline: Sequence[Union[dict, Callable]] = (),
                 max_replacements: int = 8,
                 across_cuts: bool = False) -> None:
        self.spacing = ClipSpacing(clip_len, frame_interval, frame_stride)
        self.start_stride = check_integer('start_stride', start_stride, 1)
        self.across_cuts = across_cuts
        self.max_replacements = check_integer('max_replacements',
                                              max_replacements, 0)
        self.pipeline = Compose(pipeline)
        transforms = self.pipeline.transforms
        for load, behind in zip(transforms, [*transforms[1:], None]):
            if isinstance(load, LoadClipFromVideo):
                load.look_ahead(behind)

        started = time.monotonic()
        infos = [self._probe(f) for f in find_video_files(video, data_root)]
        self.videos = self._drop_short(infos)
        self._without_cuts: List[str] = []
        self._left_out: List[int] = []
        self.clip_index = ClipIndex(
            [self._file_clips(info) for info in self.videos], start_stride)
        if self._without_cuts and not across_cuts:
            print_log(
                f'the shot cuts of {", ".join(self._without_cuts)} are not '
                'known, so clips may cross them. tools/prepare_video.py finds '
                'them, also in videos that it prepared before it did.',
                logger='current',
                level=logging.WARNING)
        if len(self) == 0:
            raise ValueError(
                'every clip contains a frame that the preparation found to be '
                'blank, frozen or undecodable, or crosses a shot cut: ' +
                ', '.join(
                    str(VideoManifest.path_of(v.path)) for v in self.videos) +
                ' list them. Use other videos, shorter clips, or '
                'across_cuts=True for films of short shots')
        print_log(
            f'{counted(len(self.videos), "video")}, '
            f'{counted(len(self), "clip")}, '
            f'{time.monotonic() - started:.0f} s to open',
            logger='current')

    @classmethod
    def check_settings(cls, **settings) -> None:
        """Check arguments for training, without opening a file.

        Args:
            **settings: Of the class, its transforms as dicts.

        Raises:
            TypeError, ValueError: See the class; or what the pipeline makes
                is not for a model.
        """
        given = inspect.signature(cls).bind(**settings)
        given.apply_defaults()
        given = given.arguments
        ClipSpacing(*(given[key.name] for key in fields(ClipSpacing)))
        check_integer('start_stride', given['start_stride'], 1)
        check_integer('max_replacements', given['max_replacements'], 0)
        find_video_files(given['video'], given['data_root'])
        check_pipeline(given['pipeline'], reads_video=True)

    @property
    def metainfo(self) -> dict:
        """What the clips are made of, for logs and visualisers."""
        return dict(
            dataset_type='walking_tours',
            **vars(self.spacing),
            videos=[video.path for video in self.videos],
            num_frames=[video.num_frames for video in self.videos],
            frames_left_out=self._left_out)

    def __len__(self) -> int:
        return len(self.clip_index)

    def __getitem__(self, item: Union[int, Tuple[int, int],
                                      ClipRequest]) -> dict:
        """Load and transform a clip.

        Args:
            item (int | tuple[int, int] | ClipRequest): Index; or index and
                seed, as :class:`ClipSampler` yields them; or what
                :class:`BlockClipSampler` yields. For an index alone the seed
                comes from torch's global generator, which differs over
                workers and epochs.

        Returns:
            dict: What the pipeline makes of :meth:`get_clip_info`, with
            ``seed`` and ``num_replaced`` (int, clips that could not be
            decoded before this one) added.

        Raises:
            IndexError: If the index is out of range.
            RuntimeError: If all the replacements cannot be decoded either, or
                a file is no longer the one that was opened first.
        """
        if not isinstance(item, tuple):
            item = (item, torch.randint(2**63 - 1, ()).item())
        request = ClipRequest(*item)
        index, seed = request.index, request.seed
        block_info = self._block_info(request)

        def load(index: int, attempt: int) -> dict:
            results = self.get_clip_info(index)
            results.update(seed=int(seed), num_replaced=attempt, **block_info)
            return self.pipeline(results)

        return load_or_replace(
            load, index, seed, len(self), self.max_replacements,
            VideoDecodeError,
            'Repair the files or leave them out of `video`')

    def get_clip_info(self, index: int) -> dict:
        """Find a clip, without reading anything.

        Args:
            index (int): In [-len(self), len(self)).

        Returns:
            dict: ``video_path`` (str), ``fps`` (float) and ``frame_indices``
            (int64 (T, ), frame numbers in the file).

        Raises:
            IndexError: If the index is out of range.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f'clip {index} of {len(self)} is out of range')
        number, start = self.clip_index.locate(int(index) % len(self))
        return dict(
            video_path=self.videos[number].path,
            fps=self.videos[number].fps,
            frame_indices=start + self.spacing.offsets(self.videos[number]))

    def _block_info(self, request: ClipRequest) -> dict:
        """What :class:`LoadClipFromBlock` needs to know."""
        if request.slot is None:
            return {}
        upcoming = request.upcoming
        if upcoming is not None:
            upcoming = (self._window(*upcoming), upcoming[1] - upcoming[0])
        return dict(
            slot=request.slot,
            windows=[self._window(*block) for block in request.blocks],
            upcoming=upcoming)

    def _window(self, first: int, end: int) -> Tuple[str, int, int]:
        """File and frames [begin, end) of the clips [first, end)."""
        number, start = self.clip_index.locate(first)
        _, last = self.clip_index.locate(end - 1)
        video = self.videos[number]
        last += int(self.spacing.offsets(video)[-1])
        return video.path, start, last + 1

    def _probe(self, path: str) -> VideoInfo:
        info = probe_video(path)
        for transform in self.pipeline.transforms:
            if hasattr(transform, 'check_video'):
                transform.check_video(info)
        if info.has_variable_rate:
            print_log(
                f'{path!r} has a variable frame rate, so the frames of its '
                'clips are not evenly apart in time. Prepare it with '
                'tools/prepare_video.py to make them so.',
                logger='current',
                level=logging.WARNING)
        return info

    def _file_clips(self, info: VideoInfo) -> FileClips:
        """Where the clips of a file are."""
        excluded, cuts = (), None
        manifest = VideoManifest.load(info.path)
        if manifest is not None:
            if manifest.num_frames != info.num_frames:
                raise ValueError(
                    f'{info.path!r} must have the {manifest.num_frames} '
                    f'frames that its manifest says, but got '
                    f'{info.num_frames}: prepare the video again')
            excluded = tuple(r[:2] for r in manifest.excluded)
            cuts = manifest.cuts
        frames = sum(end - begin for begin, end in excluded)
        self._left_out.append(frames)
        if excluded:
            print_log(
                f'{info.path!r}: {frames} of {info.num_frames} frames are '
                'left out as blank, frozen or undecodable.',
                logger='current')
        if cuts is None:
            self._without_cuts.append(info.path)
        clips = FileClips(
            self.spacing.num_starts(info),
            tuple(self.spacing.offsets(info).tolist()), excluded)
        if not cuts or self.across_cuts:
            return clips
        whole = clips._replace(cuts=cuts)
        lost = self._count(clips) - self._count(whole)
        if lost:
            print_log(
                f'{info.path!r}: {counted(lost, "clip")} left out, across '
                f'{counted(len(cuts), "shot cut")}.',
                logger='current')
        return whole

    def _count(self, clips: FileClips) -> int:
        return len(ClipIndex([clips], self.start_stride))

    def _drop_short(self, infos: List[VideoInfo]) -> List[VideoInfo]:
        videos = []
        clip_len = self.spacing.clip_len
        for info in infos:
            if self.spacing.num_starts(info) > 0:
                videos.append(info)
                continue
            print_log(
                f'{info.path!r} is left out: its {info.num_frames} frames are '
                f'fewer than a clip of {clip_len} frames '
                f'{self.spacing.step(info)} apart needs.',
                logger='current',
                level=logging.WARNING)
        if not videos:
            raise ValueError(
                'video must be as long as one clip of '
                f'{counted(clip_len, "frame")}, but got ' +
                ', '.join(f'{i.path!r} with {counted(i.num_frames, "frame")} '
                          f'of {(clip_len - 1) * self.spacing.step(i) + 1}'
                          for i in infos) +
                ': use longer videos, or a smaller clip_len, frame_interval '
                'or frame_stride')
        return videos
