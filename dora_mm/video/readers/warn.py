import logging


def warn(message: str) -> None:
    """Log a warning where the run logs.

    Args:
        message (str): What happened, and what to do.
    """
    # Here, because it loads torch, which few who read a video need.
    from mmengine.logging import print_log
    print_log(message, logger='current', level=logging.WARNING)
