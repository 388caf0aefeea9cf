def counted(number: int, noun: str) -> str:
    """A number before its noun, as in '1 clip' and '0 clips'.

    Args:
        number (int): How many.
        noun (str): Of one, with the plural in -s or, after a -y, in -ies.

    Returns:
        str: The phrase.
    """
    if number == 1:
        return f'1 {noun}'
    return f'{number} {noun[:-1]}ies' if noun.endswith('y') else \
        f'{number} {noun}s'
