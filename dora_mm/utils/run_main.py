import os
import sys
import time
from typing import Callable

from .write_json import write_json

SENTENCES = (ValueError, RuntimeError, OSError, ImportError)
# In what a rank gets from gloo or NCCL when another one has ended.
_CONSEQUENCES = ('gloo/transport', 'ncclRemoteError')


def run_main(main: Callable[[], object]) -> None:
    """Run a tool so that what went wrong is the last line on the screen.

    A mistake of the user is one sentence; the traceback above it is shown with
    ``--traceback``, which every tool takes beside its own options. torchrun,
    which prints more below, is given the sentence to end with; not that of a
    rank which only notices that another one has ended.

    Args:
        main (Callable): The tool; it reads ``sys.argv``. A number that it
            returns is the exit status.

    Raises:
        SystemExit: With the sentence, status 1.
    """
    if '--traceback' in sys.argv:
        sys.argv.remove('--traceback')
        status = main()
    else:
        status = _without_traceback(main)
    if isinstance(status, int):
        sys.exit(status)


def _without_traceback(main: Callable[[], object]) -> object:
    try:
        return main()
    except KeyboardInterrupt:
        message = 'interrupted'
    except SENTENCES as error:
        # of an error in a data worker the last line, below its traceback
        marker = f'\n{type(error).__name__}: '
        message = str(error).strip().rsplit(marker)[-1]
        message = message or type(error).__name__
    except Exception as error:
        message = _reason(error)
    if os.environ.get('TORCHELASTIC_ERROR_FILE'):
        message = _tell_torchrun(message)
    raise SystemExit(f'error: {message}')


def _tell_torchrun(message: str) -> str:
    """Leave a sentence where torchrun looks for it; what to print."""
    if any(words in message for words in _CONSEQUENCES):
        return 'another rank has ended: see its error'
    # Of the ranks that ended in one second torchrun would take the first.
    times = dict(timestamp=str(int(time.time()) - 1))
    try:
        write_json(os.environ['TORCHELASTIC_ERROR_FILE'],
                   dict(message=dict(message=message, extraInfo=times)))
    except OSError:
        pass  # it is printed as well
    return message


def _reason(error: BaseException) -> str:
    """What a program did not foresee, as a sentence.

    What torch raises when a data worker dies can strike inside a bare
    "except": the reason is then the first of the chain.
    """
    first = error
    while first.__context__ is not None:
        first = first.__context__
    if first is error:
        return f'{type(error).__name__}: {error} (--traceback shows where)'
    return f'{first} (then {type(error).__name__})'
