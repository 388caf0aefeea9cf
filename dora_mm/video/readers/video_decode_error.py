from typing import Optional

REPAIR = ('Check the file with dora-mm audit, then download it again or leave '
          'it out')


class VideoDecodeError(ValueError):
    """Frames of a video that cannot be decoded.

    The dataset replaces the clip; any other error stops the run.

    Args:
        path (str): The file.
        reason (str): What went wrong.
        remedy (str): What the user can do about it.
        frame (int, optional): The first frame wanted, None if the file could
            not even be opened. Defaults to None.
    """

    def __init__(self,
                 path: str,
                 reason: str,
                 remedy: str,
                 frame: Optional[int] = None) -> None:
        # All arguments go to the base class: a worker's error is pickled.
        super().__init__(path, reason, remedy, frame)
        self.path = path
        self.reason = reason
        self.remedy = remedy
        self.frame = frame

    def __str__(self) -> str:
        where = '' if self.frame is None else f' from frame {self.frame}'
        return (f'cannot read {self.path!r}{where}: {self.reason}. '
                f'{self.remedy}')
