import sys
from typing import Callable


def run_main(main: Callable[[], object]) -> None:
    """Run a tool so that what went wrong is the last line on the screen.

    A mistake of the user is one sentence; the traceback above it is shown with
    ``--traceback``, which every tool takes beside its own options.

    Args:
        main (Callable): The tool; it reads ``sys.argv``.

    Raises:
        SystemExit: With the sentence, status 1.
    """
    if '--traceback' in sys.argv:
        sys.argv.remove('--traceback')
        main()
        return
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit('error: interrupted')
    except Exception as error:
        message = str(error) or type(error).__name__
        if not isinstance(error, (ValueError, RuntimeError, OSError)):
            message = f'{type(error).__name__}: {message}'
            # What torch raises when a data worker dies can strike inside a
            # bare "except": the reason is then the first of the chain.
            first = error
            while first.__context__ is not None:
                first = first.__context__
            if first is not error:
                message = f'{first} (then {type(error).__name__})'
        raise SystemExit(f'error: {message}')
