import functools
import logging
import shutil
import traceback
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator

import torch.nn as nn
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import MMLogger
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner

from .loops.check_train_loader import check_train_loader

# How messages begin that a reader of the screen cannot act on.
UNSEEN = (
    '\n' + '-' * 60 + '\nSystem environment:',
    'Config:\n',
    'Hooks will be executed in the following order:',
    'Distributed training is not used, all SyncBatchNorm',
    'Exp name: ',
    # QuietRunner says it by the numbers of the lines that follow.
    'resumed epoch: ',
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
            if _is_ours(error):
                raise  # it names its setting or its file
            reason = str(error).strip().partition('\n')[0]
            raise ValueError(
                f'{section} must have settings that it can be built from, but '
                f'got "{type(error).__name__}: {reason}": correct {section}.*'
            ) from error

    return named


def _is_ours(error: Exception) -> bool:
    if ' must ' in str(error) and 'but got' in str(error):
        return True
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    place = frame.f_globals.get('__name__', '')
    return isinstance(error, ValueError) and place.startswith('dora_mm.')


class QuietRunner(Runner):
    """A Runner that says what a user can act on.

    Its screen leaves out what its log file says. That is the environment, the
    config, the order of the hooks and what mmengine says of its own parts.
    ``log_level='DEBUG'`` shows all of it.

    Its errors name the section of the config that cannot be built. A run that
    is refused before its first epoch, as one whose checkpoint does not fit,
    leaves neither a dated folder nor its config.
    """

    _has_begun = False

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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        with self._nothing_left_if_refused():
            super().__init__(*args, **kwargs)

    def train(self) -> nn.Module:
        """See mmengine's ``Runner``."""
        with self._nothing_left_if_refused():
            return super().train()

    def test(self) -> Dict[str, float]:
        """See mmengine's ``Runner``."""
        with self._nothing_left_if_refused():
            return super().test()

    @functools.partial(naming, 'train_dataloader')
    def build_train_loop(self, *args: Any, **kwargs: Any) -> BaseLoop:
        """See mmengine's ``Runner``."""
        loop = super().build_train_loop(*args, **kwargs)
        check_train_loader(loop.dataloader)
        return loop

    def load_or_resume(self) -> None:
        """See mmengine's ``Runner``; every rank loads what the first does.

        Each has looked for the newest checkpoint, at another moment and
        perhaps on another machine.
        """
        own = [self._load_from, self._resume]
        chosen = own.copy()
        broadcast_object_list(chosen)
        if chosen != own:
            self._load_from, self._resume = chosen
            self.cfg.load_from, self.cfg.resume = chosen
        super().load_or_resume()

    def resume(self, *args: Any, **kwargs: Any) -> None:
        """See mmengine's ``Runner``, which says how many epochs are over."""
        super().resume(*args, **kwargs)
        loop, place = self.train_loop, f'Iter [{self.iter + 1}'
        if self.iter == loop.max_iters:
            self.logger.info('resume: the training is over')
            return
        if isinstance(loop, EpochBasedTrainLoop):
            epoch, step = divmod(self.iter, len(loop.dataloader))
            place = f'Epoch [{epoch + 1}][{step + 1}/{len(loop.dataloader)}'
        self.logger.info(f'resume: {place}] is next')

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """See mmengine's ``Runner``."""
        if not self._has_begun and fn_name in ('before_train_epoch',
                                               'before_test_epoch'):
            self._has_begun = True
            self.dump_config()
        super().call_hook(fn_name, **kwargs)

    def dump_config(self) -> None:
        """See mmengine's ``Runner``, which does it when it is built."""
        if self._has_begun:
            super().dump_config()

    @contextmanager
    def _nothing_left_if_refused(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            if not self._has_begun and is_main_process():
                self._leave_nothing()
            raise

    def _leave_nothing(self) -> None:
        if hasattr(self, 'visualizer'):
            self.visualizer.close()
        # mmengine would give them to a run that begins in the same second.
        for name in ('logger', 'message_hub', 'visualizer'):
            if hasattr(self, name):
                kept = type(getattr(self, name))._instance_dict
                kept.pop(self.experiment_name, None)
        if hasattr(self, '_log_dir'):
            shutil.rmtree(self.log_dir, ignore_errors=True)

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
