import re
from typing import Any

from mmengine.config import DictAction

_SPACE = '\0'  # no argument of a program can hold it


class OptionsAction(DictAction):
    """``--cfg-options`` whose values keep their spaces.

    mmengine takes all spaces out of a value, and then opens another file than
    the one that was named. Between the items of a list spaces do not count.
    """

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        text = val.strip('\'"')
        if ',' in text or text[:1] in ('[', '('):
            text = re.sub(r' *([,\[\]()]) *', r'\1', text)
        return _with_spaces(
            DictAction._parse_iterable(text.replace(' ', _SPACE)))


def _with_spaces(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_with_spaces, value))
    return value.replace(_SPACE, ' ') if isinstance(value, str) else value
