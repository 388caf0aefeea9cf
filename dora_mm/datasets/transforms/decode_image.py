import io

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image

from dora_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class DecodeImage(BaseTransform):
    """Decode an image by PIL, as torchvision's data sets do.

    Required: ``img_bytes``. Added: ``img``, uint8 (h, w, 3), RGB;
    ``img_shape`` and ``ori_shape`` (h, w). Grey images get three channels, a
    rotation noted in the file is not applied.
    """

    def transform(self, results: dict) -> dict:
        """Decode.

        Args:
            results (dict): With ``img_bytes`` and, for the message,
                ``img_path``.

        Returns:
            dict: Without ``img_bytes``.

        Raises:
            ValueError: If the file cannot be decoded.
        """
        data = results.pop('img_bytes')
        try:
            with Image.open(io.BytesIO(data)) as image:
                pixels = np.array(image.convert('RGB'))
        except (OSError, SyntaxError) as error:
            raise ValueError(f'{results.get("img_path")} cannot be decoded: '
                             f'{error}') from error
        results.update(
            img=pixels, img_shape=pixels.shape[:2], ori_shape=pixels.shape[:2])
        return results
