import sys
from importlib.util import find_spec


def need_package(name: str, purpose: str, install: str) -> None:
    """Refuse to begin what an optional package is missing for.

    Args:
        name (str): What is imported.
        purpose (str): What needs it, the beginning of the sentence.
        install (str): What pip is to install.

    Raises:
        ImportError: With the command that installs it.
    """
    if sys.modules.get(name) is None and find_spec(name) is None:
        raise ImportError(f'{purpose} needs {name}, which is not installed: '
                          f'pip install {install}')
