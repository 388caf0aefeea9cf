import functools
import logging
from typing import Any, Callable

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


def naming(section: str, build: Callable) -> Callable:
    """What mmengine builds, with the section of the config in an error.

    Args:
        section (str): Key of the config.
        build (Callable): Builds what stands there.

    Returns:
        Callable: The same, which raises a ValueError that names the section,
        or an error of ours or of a file as it is.
    """

    @functools.wraps(build)
    def named(*args: Any, **kwargs: Any) -> Any:
        try:
            return build(*args, **kwargs)
        except OSError:
            raise
        except Exception as error:
            if ' must ' in str(error) and 'but got' in str(error):
                raise  # it names its setting
            reason = str(error).strip().partition('\n')[0]
            raise ValueError(
                f'{section} must have settings that it can be built from, but '
                f'got "{type(error).__name__}: {reason}": correct {section}.*'
            ) from error

    return named


class QuietRunner(Runner):
    """A Runner that says what a user can act on.

    Its screen leaves out what its log file says. That is the environment, the
    config, the order of the hooks and what mmengine says of its own parts.
    ``log_level='DEBUG'`` shows all of it.

    Its errors name the section of the config that cannot be built.
    """

    setup_env = naming('env_cfg', Runner.setup_env)
    set_randomness = naming('randomness', Runner.set_randomness)
    build_model = naming('model', Runner.build_model)
    build_visualizer = naming('visualizer', Runner.build_visualizer)
    build_log_processor = naming('log_processor', Runner.build_log_processor)
    register_default_hooks = naming(
        'default_hooks', Runner.register_default_hooks)
    register_custom_hooks = naming(
        'custom_hooks', Runner.register_custom_hooks)
    build_optim_wrapper = naming('optim_wrapper', Runner.build_optim_wrapper)
    build_param_scheduler = naming(
        'param_scheduler', Runner.build_param_scheduler)
    build_train_loop = naming('train_dataloader', Runner.build_train_loop)

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
