from typing import Tuple

import torch
from torch import Tensor

# Rows of the memory and queries that meet at a time: 256 MB of products.
_ROWS = 1 << 16
_QUERIES = 1 << 10


def nearest_rows(memory: Tensor, queries: Tensor,
                 k: int) -> Tuple[Tensor, Tensor]:
    """The most similar rows of a large memory, searched in pieces.

    Args:
        memory (Tensor): (M, D).
        queries (Tensor): (B, D).
        k (int): At most M.

    Returns:
        tuple[Tensor, Tensor]: Inner products (B, k), falling, and their rows
        (B, k), int64.
    """
    parts = [_nearest(memory, part, k) for part in queries.split(_QUERIES)]
    return tuple(torch.cat(part) for part in zip(*parts))


def _nearest(memory: Tensor, queries: Tensor,
             k: int) -> Tuple[Tensor, Tensor]:
    best = index = None
    for start in range(0, len(memory), _ROWS):
        block = memory[start:start + _ROWS]
        similarity, rows = (queries @ block.T).topk(min(k, len(block)))
        rows = rows + start
        if best is not None:
            similarity = torch.cat((best, similarity), dim=1)
            rows = torch.cat((index, rows), dim=1)
            similarity, order = similarity.topk(min(k, similarity.shape[1]))
            rows = rows.gather(1, order)
        best, index = similarity, rows
    return best, index
