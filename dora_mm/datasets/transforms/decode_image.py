from mmcv.transforms import BaseTransform

from dora_mm.registry import TRANSFORMS
from ..evaluation.read_image import decode_image


@TRANSFORMS.register_module()
class DecodeImage(BaseTransform):
    """Decode an image, see :func:`decode_image`.

    Required: ``img_bytes``. Added: ``img``, uint8 (h, w, 3), RGB;
    ``img_shape`` and ``ori_shape`` (h, w).
    """

    def transform(self, results: dict) -> dict:
        """Decode.

        Args:
            results (dict): With ``img_bytes`` and, for the message,
                ``img_path``.

        Returns:
            dict: Without ``img_bytes``.

        Raises:
            ValueError: If the file cannot be decoded, or ends too early.
        """
        pixels = decode_image(
            results.pop('img_bytes'), results.get('img_path'))
        results.update(
            img=pixels, img_shape=pixels.shape[:2], ori_shape=pixels.shape[:2])
        return results
