"""Command line options for what the shapes of a ViT do not show."""
import argparse
from typing import Any, Dict, List, Mapping

ACTIVATIONS = dict(gelu='GELU', relu='ReLU', silu='SiLU')
SAID = ('num_heads', 'img_size', 'norm_eps', 'activation')


def add_architecture_options(parser: argparse.ArgumentParser) -> None:
    """Let a tool ask for what a file does not say.

    Args:
        parser (ArgumentParser): Gets ``--num-heads``, ``--img-size``,
            ``--norm-eps`` and ``--activation``.
    """
    group = parser.add_argument_group(
        'architecture', 'needed where the file does not say it')
    group.add_argument(
        '--num-heads', type=int, help='attention heads of a layer')
    group.add_argument(
        '--img-size',
        type=int,
        nargs='+',
        metavar='PIXELS',
        help='image that it was trained with: the side of a square, or height '
        'and width')
    group.add_argument(
        '--norm-eps', type=float, help='epsilon of the norms, such as 1e-6')
    group.add_argument(
        '--activation', choices=ACTIVATIONS, help='of the hidden layers')


def given_options(args: argparse.Namespace) -> Dict[str, Any]:
    """The options above that were given.

    Args:
        args (argparse.Namespace): Of a tool.

    Returns:
        dict: Option to value.
    """
    given = {name: getattr(args, name) for name in SAID}
    return {k: v for k, v in given.items() if v is not None}


def option_words(given: Mapping[str, Any]) -> List[str]:
    """The options as words of a command line, for a tool that calls another.

    Args:
        given (dict): Of :func:`given_options`.

    Returns:
        list[str]: Words.
    """
    words: List[str] = []
    for name, value in given.items():
        values = value if isinstance(value, list) else [value]
        words += ['--' + name.replace('_', '-'), *map(str, values)]
    return words
