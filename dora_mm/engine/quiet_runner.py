import logging
from typing import Any

from mmengine.logging import MMLogger
from mmengine.runner import Runner

# How messages begin that a reader of the screen cannot act on.
UNSEEN = (
    '\n' + '-' * 60 + '\nSystem environment:',
    'Config:\n',
    'Hooks will be executed in the following order:',
    'Distributed training is not used, all SyncBatchNorm',
    'Exp name: ',
    # mmengine makes and names these itself.
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
)


class QuietRunner(Runner):
    """A Runner whose screen leaves out what its log file says.

    That is the environment, the config, the order of the hooks and what
    mmengine says of its own parts. ``log_level='DEBUG'`` shows all of it.
    """

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """See mmengine's ``Runner``."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if (not isinstance(handler, logging.FileHandler)
                    and handler.level > logging.DEBUG):
                handler.addFilter(_is_for_the_screen)
        logger.info(f'log, config and environment: {logger.log_file}')
        return logger


def _is_for_the_screen(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(UNSEEN)
