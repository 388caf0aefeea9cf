import os
import socket

# Of the processes that no container hides, on every Linux.
_OUTERMOST = 'pid:[4026531836]'


def this_host() -> str:
    """The machine, and the container if it has process numbers of its own.

    Containers may share the name of their host (``--net=host``); the number of
    a process in one says nothing in another.

    Returns:
        str: The same for all processes that can see each other.
    """
    try:
        space = os.readlink('/proc/self/ns/pid')
    except OSError:  # no Linux
        space = _OUTERMOST
    name = socket.gethostname()
    return name if space == _OUTERMOST else f'{name} {space}'
