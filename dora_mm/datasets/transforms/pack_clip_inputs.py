import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmpretrain.structures import DataSample

from dora_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackClipInputs(BaseTransform):
    """Pack a clip into what crosses to the device.

    **Required Keys:**

    - clip (uint8 (T, H, W, 3))
    - video_path, frame_indices, seed
    - num_replaced (optional)

    **Deleted Keys:**

    All.

    **Added Keys:**

    - inputs (torch.Tensor: uint8 (T, 3, H, W), contiguous, RGB)
    - data_samples (DataSample: metainfo video_path, frame_indices,
      start_frame, seed and num_replaced)
    """

    def transform(self, results: dict) -> dict:
        """Pack the clip.

        Args:
            results (dict): See the required keys.

        Returns:
            dict: ``inputs`` and ``data_samples``.
        """
        clip = np.ascontiguousarray(results['clip'].transpose(0, 3, 1, 2))
        sample = DataSample(
            metainfo=dict(
                video_path=results['video_path'],
                frame_indices=results['frame_indices'],
                start_frame=int(results['frame_indices'][0]),
                seed=results['seed'],
                num_replaced=results.get('num_replaced', 0)))
        return dict(inputs=torch.from_numpy(clip), data_samples=sample)

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}()'
