from .atomic_backend import AtomicLocalBackend
from .evaluation_wrapper import EvaluationWrapper
from .hooks import *  # noqa: F401,F403
from .loops import *  # noqa: F401,F403
from .optimizers import *  # noqa: F401,F403
from .schedulers import *  # noqa: F401,F403
from .step_log_processor import StepLogProcessor

__all__ = ['AtomicLocalBackend', 'EvaluationWrapper', 'StepLogProcessor']
