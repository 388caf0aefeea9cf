import os
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from dora_mm.utils.check_output import make_output_folder
from .disk_space import DiskSpace
from .prepare_settings import PrepareSettings
from .reports import ProgressReport
from .video_preparation import PreparedVideo, VideoPreparation
from .worker_pool import make_pool

# Bytes that a name leaves for those of the files beside the result, the
# longest of which is '.NAME.mp4.01234567.json'.
_LONGEST_NAME = 255 - 19


def prepare_videos(
        sources: Sequence[str],
        out_dir: Path,
        settings: PrepareSettings,
        workers: int = 1,
        shard: Tuple[int, int] = (1, 1),
        overwrite: bool = False,
        num_checks: int = 16
) -> Tuple[List[PreparedVideo], Dict[str, Exception]]:
    """Prepare videos for training, in parallel over files and segments.

    A video that fails does not stop the others. What a killed run has
    finished is not done again by the next.

    Args:
        sources (Sequence[str]): Video files.
        out_dir (Path): Folder of the results, ``<name>.mp4`` each.
        settings (PrepareSettings): How.
        workers (int): Number of processes. Defaults to 1, none but this.
        shard (tuple[int, int]): This is job i of n, (i, n), i from 1 to n:
            every n-th file is its own, or, of a single file, every n-th
            segment; the job that ends last puts that together. Defaults to
            (1, 1).
        overwrite (bool): Whether results of other settings or sources are
            replaced. Defaults to False.
        num_checks (int): Frames of each result to compare with its source.
            Defaults to 16.

    Returns:
        tuple[list[PreparedVideo], dict[str, Exception]]: What became of this
        job's videos, and the errors of those that failed, by source.

    Raises:
        ValueError: If an argument is out of range, or two files would have
            the same result.
        OSError: If ``out_dir`` cannot be made.
    """
    job, num_jobs = shard
    if not 1 <= job <= num_jobs:
        raise ValueError('shard must be i/n with 1 <= i <= n, but got '
                         f'{job}/{num_jobs}')
    if workers < 1:
        raise ValueError(f'workers must be at least 1, but got {workers}')
    if num_checks < 1:
        raise ValueError(
            f'num_checks must be at least 1, but got {num_checks}')
    _check_names(sources, out_dir)
    share = (0, 1)
    if len(sources) > 1:
        sources = sources[job - 1::num_jobs]
    else:
        share = (job - 1, num_jobs)
        if settings.deface and num_jobs > 1:
            raise ValueError(
                '--deface cannot be shared by the jobs of one file, as each '
                'would do all of it. Leave --shard or --deface out')
    make_output_folder('--out-dir', out_dir)
    preparations = [
        VideoPreparation(source, out_dir, settings, share, overwrite,
                         num_checks, slot)
        for slot, source in enumerate(sources)
    ]
    return _run(preparations, workers, DiskSpace(out_dir))


def _check_names(sources: Sequence[str], out_dir: Path) -> None:
    seen: Dict[str, str] = {}
    for source in sources:
        name = Path(source).stem
        size = len(os.fsencode(name))
        if size > _LONGEST_NAME:
            raise ValueError(
                f'the name of a video must have at most {_LONGEST_NAME} bytes '
                f'to be prepared, but got {size} of {source!r}: rename it')
        if name in seen:
            raise ValueError(
                f'{seen[name]!r} and {source!r} would both become '
                f'{name}.mp4. Rename one, or use two folders')
        seen[name] = source
        target = out_dir / f'{name}.mp4'
        if target.exists() and target.samefile(source):
            raise ValueError(f'{source!r} would be replaced by its own copy. '
                             'Use another --out-dir')


def _run(preparations: Sequence[VideoPreparation], workers: int,
         disk: DiskSpace) -> Tuple[List[PreparedVideo], Dict[str, Exception]]:
    done, errors = [], {}
    pool, counts = make_pool(workers, max(1, len(preparations)))
    # A thread of a video only waits for the pool.
    threads = ThreadPoolExecutor(workers)
    try:
        jobs = {threads.submit(p.run, pool, disk): p for p in preparations}
        with ProgressReport(preparations, counts) as report:
            waiting = set(jobs)
            while waiting:
                _, waiting = wait(waiting, timeout=0.5)
                report.update()
        for job, preparation in jobs.items():
            error = job.exception()
            if error is None:
                done.append(job.result())
            else:
                errors[preparation.source_path] = error
    except BaseException:
        # After Ctrl-C nothing new is begun, and nothing waited for.
        threads.shutdown(wait=False, cancel_futures=True)
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    threads.shutdown()
    pool.shutdown()
    return done, errors
