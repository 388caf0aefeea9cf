import logging

from mmengine.logging import print_log


def warn_of_failure(compiler: str, error: Exception, instead: str) -> None:
    """Warn that a compiler failed and that training goes on without it.

    Args:
        compiler (str): And what it was to compile.
        error (Exception): Its own; the first two lines are shown.
        instead (str): What runs now, and the setting that does not try.
    """
    reason = ' '.join(str(error).splitlines()[:2])
    print_log(
        f'{compiler} failed ({type(error).__name__}: {reason}): {instead}',
        'current',
        level=logging.WARNING)
