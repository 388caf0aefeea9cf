from typing import Tuple


def scaled_size(width: int, height: int, short_side: int) -> Tuple[int, int]:
    """Size of a picture shrunk to a short side; both sides are even.

    A picture is never enlarged: where it is small enough already, an odd side
    loses one pixel.

    Args:
        width (int): Width in pixels.
        height (int): Height in pixels.
        short_side (int): The most that the shorter side may have, in pixels.

    Returns:
        tuple[int, int]: Width and height in pixels, at least 2.
    """
    scale = short_side / min(width, height)
    if scale >= 1:
        return max(2, width // 2 * 2), max(2, height // 2 * 2)
    return (max(2, 2 * round(width * scale / 2)),
            max(2, 2 * round(height * scale / 2)))
