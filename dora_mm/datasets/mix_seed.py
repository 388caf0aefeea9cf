"""Seeds that are a pure function of what they belong to."""
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def _splitmix64(state: int) -> int:
    """Finaliser of the SplitMix64 generator: a bijection of 64-bit words."""
    state = (state + _GOLDEN) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)


def mix_seed(*values: int) -> int:
    """Mix integers into one seed that looks random in every bit.

    The order matters, and neighbouring values give unrelated seeds. Python's
    own ``hash`` is not used because it differs between versions.

    Args:
        *values (int): What the seed belongs to, e.g. run seed, epoch, index.
            Each is reduced to its lowest 64 bits.

    Returns:
        int: A number in [0, 2**63), which fits ``torch.Generator`` and
        ``numpy.random.default_rng`` alike.
    """
    state = 0
    for value in values:
        state = _splitmix64(state ^ (int(value) & _MASK))
    return state >> 1
