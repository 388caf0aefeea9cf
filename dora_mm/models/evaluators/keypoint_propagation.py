# Letters: T frames, J joints, N patches.
from typing import List, Optional, Tuple

import numpy as np
import torch
from torch import Tensor

from dora_mm.registry import MODELS
from .label_propagation import LabelPropagation

_SIGMA = 0.5  # patches, of the peak that stands for a joint
_TOPK = 5  # patches whose mean is the place of a joint


@MODELS.register_module()
class KeypointPropagation(LabelPropagation):
    """Follow the joints of the first frame through a video.

    videowalk's protocol on JHMDB: a joint is a peak of 4 x 4 patches; joints
    are carried like classes, beside a background that is 1 where no peak is;
    the place of a joint is the weighted mean of its five strongest patches.

    Its arguments are those of :class:`LabelPropagation`.
    """

    @torch.no_grad()
    def forward(self,
                inputs: List[Tensor],
                data_samples: Optional[List] = None,
                mode: str = 'predict') -> List:
        """Follow joints.

        Args:
            inputs (list[Tensor]): Videos, each uint8 (T, 3, h, w), RGB.
            data_samples (list): With ``points``, float (1 or more, J, 2), x
                and y in pixels, of which the first is used, and
                ``ori_shape``, height and width of these pixels.
            mode (str): 'predict'; there is no loss.

        Returns:
            list: ``data_samples`` with ``pred_points``, float (T, J, 2), in
            the same pixels; -1 where a joint is lost.

        Raises:
            ValueError: If another mode is asked for.
        """
        if mode != 'predict':
            raise ValueError(f"mode must be 'predict', but got {mode!r}: "
                             'there is nothing to train')
        for frames, sample in zip(inputs, data_samples):
            grid = self.grid(frames)
            # pixels a patch; frames may be squeezed
            scale = np.array(sample.ori_shape[::-1]) / grid[::-1]
            labels = draw_points(sample.points[0] / scale, grid)
            maps = [labels, *self.carry(frames, labels)]
            found = np.stack([find_points(label, grid) for label in maps])
            found = np.where(found < 0, -1, found * scale)
            sample.set_field(found, 'pred_points', field_type='metainfo')
        return data_samples


def draw_points(points: np.ndarray, grid: Tuple[int, int]) -> Tensor:
    """Joints as labels of patches.

    Args:
        points (np.ndarray): (J, 2), x and y in patches.
        grid (tuple[int, int]): Rows and columns of patches.

    Returns:
        Tensor: (N, 1 + J), float32; the background comes first.
    """
    maps = torch.zeros(len(points), *grid)
    steps = torch.arange(4.)
    peak = (-(steps - 2)**2 / (2 * _SIGMA**2)).exp()
    peak = peak[:, None] * peak
    for plane, (x, y) in zip(maps, points):
        # int() cuts towards 0, as in videowalk
        left, top = int(x - 3 * _SIGMA), int(y - 3 * _SIGMA)
        right, bottom = int(x + 3 * _SIGMA + 1), int(y + 3 * _SIGMA + 1)
        for row in range(max(top, 0), min(bottom, grid[0])):
            for column in range(max(left, 0), min(right, grid[1])):
                plane[row, column] = peak[row - top, column - left]
    background = (maps.sum(0) == 0).float()
    return torch.cat((background[None], maps)).flatten(1).T


def find_points(labels: Tensor, grid: Tuple[int, int]) -> np.ndarray:
    """Where the joints are.

    Args:
        labels (Tensor): (N, 1 + J).
        grid (tuple[int, int]): Rows and columns of patches.

    Returns:
        np.ndarray: (J, 2), x and y in patches; -1 where a joint is nowhere.
    """
    values, places = labels[:, 1:].topk(min(_TOPK, len(labels)), dim=0)
    total = values.sum(0)
    weights = (values / total.clamp(min=1e-30)).double()
    places = torch.stack((places % grid[1], places // grid[1]), -1)
    points = (places * weights[..., None]).sum(0)
    points[total == 0] = -1
    return points.cpu().numpy()
