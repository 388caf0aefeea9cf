from typing import NamedTuple, Optional, Tuple

Block = Tuple[int, int]


class ClipRequest(NamedTuple):
    """What a sampler asks a dataset for.

    A sampler that yields ``(index, seed)`` asks for the first two only.

    Attributes:
        index (int): Number of the clip.
        seed (int): Seed of all that is random about it.
        slot (int, optional): Number of the batch since the dataloader has
            started, modulo the number of lanes; modulo the number of workers
            it is that of the worker.
        blocks (tuple[tuple[int, int], ...]): Clips [first, end) of each block
            to keep in memory.
        upcoming (tuple[int, int], optional): The block that is needed next,
            to be decoded little by little.
    """
    index: int
    seed: int
    slot: Optional[int] = None
    blocks: Tuple[Block, ...] = ()
    upcoming: Optional[Block] = None
