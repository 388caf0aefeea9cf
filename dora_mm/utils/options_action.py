import argparse
import re
from typing import Any, Optional

from mmengine.config import DictAction

# A dict, alone or in a list, as Python and as YAML write it.
_DICT = re.compile(r'(^|[\[(,])\s*(dict\(|{[^{}]*:)')
_SPACE = '\0'  # no argument of a program can hold it


class OptionsAction(DictAction):
    """``--cfg-options`` whose values keep their spaces.

    mmengine takes all spaces out of a value, and then opens another file than
    the one that was named. Between the items of a list spaces do not count.

    Raises:
        ValueError: If there is no key or no value, a value is a dict, which
            mmengine would read as a text or never end to read, or a bracket
            is left open.
    """

    def __call__(self,
                 parser: argparse.ArgumentParser,
                 namespace: argparse.Namespace,
                 values: Any,
                 option_string: Optional[str] = None) -> None:
        """Read the words; see the class."""
        for word in values:
            if not word.partition('=')[0] or '=' not in word:
                raise ValueError(f'{option_string} must be KEY=VALUE, but got '
                                 f'{word}: write the key, = and the value')
        super().__call__(parser, namespace, values, option_string)

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        text = val.strip('\'"')
        if _DICT.search(text):
            raise ValueError(
                '--cfg-options must be numbers, texts or lists of them, but '
                f'got {text}: give the settings of a dict one by one, '
                'KEY.NAME=VALUE, or write a config')
        if ',' in text or text[:1] in ('[', '('):
            text = re.sub(r' *([,\[\]()]) *', r'\1', text)
        try:
            value = DictAction._parse_iterable(text.replace(' ', _SPACE))
        except (AssertionError, RecursionError) as error:
            raise ValueError('--cfg-options must have brackets that close, '
                             f'but got {text}: quote the value') from error
        return _with_spaces(value)


def _with_spaces(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_with_spaces, value))
    return value.replace(_SPACE, ' ') if isinstance(value, str) else value
