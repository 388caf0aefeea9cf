from pathlib import Path
from typing import Any, Union

from torch import nn

from dora_mm.registry import MODELS
from .model_loader import ModelLoader


@MODELS.register_module()
def load_backbone(source: Union[str, Path],
                  key: str = 'teacher',
                  trust: bool = False,
                  **kwargs: Any) -> nn.Module:
    """A backbone for evaluation, by the name that configs use.

    Args:
        source (str | Path): See :class:`ModelLoader`.
        key (str): 'teacher' or 'student', where there are both. Defaults to
            'teacher'.
        trust (bool): Whether to run code that a pickled checkpoint names.
            Defaults to False.
        **kwargs: Of :meth:`ModelLoader.backbone`.

    Returns:
        nn.Module: See :meth:`ModelLoader.backbone`.

    Raises:
        ValueError: If the source is missing, unsafe or of an unknown layout.
    """
    return ModelLoader(source, trust=trust).backbone(key, **kwargs)
