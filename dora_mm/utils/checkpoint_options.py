"""Options of the tools that read a checkpoint."""
import argparse


def add_key_option(parser: argparse.ArgumentParser) -> None:
    """Let a tool choose between the networks of a checkpoint.

    Args:
        parser (ArgumentParser): Gets ``--key``.
    """
    parser.add_argument(
        '--key',
        choices=('teacher', 'student'),
        default='teacher',
        help='network of a checkpoint that holds both (default: teacher)')


def add_trust_option(parser: argparse.ArgumentParser) -> None:
    """Let a person allow the code that pickled files name.

    Args:
        parser (ArgumentParser): Gets ``--trust``.
    """
    parser.add_argument(
        '--trust',
        action='store_true',
        help='run whatever code the pickled files name: only for files of '
        'people you trust')
