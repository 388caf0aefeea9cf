import multiprocessing
import os
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Any, Callable, Sequence, Tuple

import cv2

# Slots of frame counts, one a video; set once a process.
_counts: Any = None


def count_frames(slot: int, number: int) -> None:
    """Tell the main process how many frames are done.

    Args:
        slot (int): The video's place.
        number (int): Frames since the last call.
    """
    if _counts is not None:
        with _counts.get_lock():
            _counts[slot] += number


def _start_worker(counts: Any) -> None:
    global _counts
    _counts = counts
    parent = multiprocessing.parent_process()
    if parent is not None:  # the process is ours
        cv2.setNumThreads(1)
        threading.Thread(
            target=_die_with, args=(parent, ), daemon=True).start()


def _die_with(parent) -> None:
    # A killed main process cannot end its workers, and they would wait for
    # work for ever.
    parent.join()
    os._exit(1)


class _InlineExecutor(Executor):
    """Runs everything at once in the calling thread."""

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def make_pool(workers: int, num_slots: int) -> Tuple[Executor, Sequence[int]]:
    """Processes that prepare segments.

    Args:
        workers (int): Number of processes; 1 is this process itself.
        num_slots (int): Number of videos.

    Returns:
        tuple[Executor, Sequence[int]]: The pool, and the number of frames
        that are done of each video, which grows as the pool works.
    """
    # A server that has the imports and no threads forks the processes: they
    # start at once, and no lock is held in them.
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([f'{__package__}.segment_job'])
    counts = context.Array('q', num_slots)
    if workers == 1:
        _start_worker(counts)
        return _InlineExecutor(), counts
    pool = ProcessPoolExecutor(workers, context, _start_worker, (counts, ))
    return pool, counts
