import re
from contextlib import contextmanager
from typing import Iterator


@contextmanager
def settings_of(key: str) -> Iterator[None]:
    """Name settings as the config does in the errors of a part of a model.

    A part knows the names of its arguments, not where they stand in a config.

    Args:
        key (str): Of the part, as ``model.head``.

    Raises:
        ValueError: With the key before the name that the message begins with.
    """
    try:
        yield
    except ValueError as error:
        if re.match(r'(?!model\.)[\w.]+ must ', str(error)):
            raise ValueError(f'{key}.{error}') from error
        raise
