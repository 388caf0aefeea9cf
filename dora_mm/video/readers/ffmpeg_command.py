import shutil


def ffmpeg_command(arguments: str) -> str:
    """A command of FFmpeg's program, which PyAV does without.

    Args:
        arguments (str): What follows ``ffmpeg``.

    Returns:
        str: The command, with how to get the program if it is not installed.
    """
    missing = ''
    if shutil.which('ffmpeg') is None:
        missing = ' (the program is not installed here: apt install ffmpeg)'
    return f'ffmpeg {arguments}{missing}'
