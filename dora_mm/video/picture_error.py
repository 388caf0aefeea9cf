class PictureError(ValueError):
    """A stored picture that cannot be shown as its file says.

    Args:
        reason (str): What the file says, and what it may say.
        remedy (str): What the user can do about it.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        # Both go to the base class: a worker's error is pickled.
        super().__init__(reason, remedy)
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f'{self.reason}: {self.remedy}'
