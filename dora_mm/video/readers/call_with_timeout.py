import threading
from typing import Any, Callable


def call_with_timeout(func: Callable[[], Any], timeout: float) -> Any:
    """Call a function that may never return.

    A decoder that spins in C code can be neither interrupted nor killed. It
    is left behind in a daemon thread, which does not keep the process alive.

    Args:
        func (Callable): Function without arguments, which must release the
            interpreter's lock while it is busy.
        timeout (float): Seconds to wait for it.

    Returns:
        Any: What the function returns.

    Raises:
        TimeoutError: If it has not returned in time.
        Exception: Whatever the function raises.
    """
    outcome = {}

    def target() -> None:
        try:
            outcome['value'] = func()
        except BaseException as error:  # handed over to the caller's thread
            outcome['error'] = error

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        raise TimeoutError(f'no answer within {timeout:g} seconds.')
    if 'error' in outcome:
        try:
            raise outcome['error']
        finally:
            # Error -> traceback -> this frame -> error would keep what the
            # function held alive until the garbage collector comes.
            outcome.clear()
    return outcome['value']
