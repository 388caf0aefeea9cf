import torch
from torch import Tensor


def check_finite(values: Tensor, name: str, remedy: str) -> None:
    """Refuse NaN and infinity.

    Args:
        values (Tensor): Of any shape and dtype.
        name (str): What they are, for the message.
        remedy (str): What the user may do.

    Raises:
        ValueError: If a value is not finite; its place is named.
    """
    wrong = ~torch.isfinite(values)
    if wrong.any():
        place = wrong.nonzero()[0].tolist()
        raise ValueError(f'{name} must be finite, but got '
                         f'{values[tuple(place)].item()} at {place}: {remedy}')
