import torch


def check_temperature(name: str, value: float, usual: float) -> None:
    """Refuse a divisor that float32 takes for 0 or for infinity.

    Args:
        name (str): What it is called, for the message.
        value (float): Of cosines before an exponential.
        usual (float): What the user may take.

    Raises:
        ValueError: If it is not above 0 and finite, also as float32, or so
            small that its inverse is infinite.
    """
    bounds = torch.finfo(torch.float32)
    if not bounds.tiny <= value <= bounds.max:
        raise ValueError(
            f'{name} must be above 0 and finite, of {bounds.tiny:.2g} to '
            f'{bounds.max:.2g}, but got {value}: take {usual}')
