from typing import Any

from torch import nn

from dora_mm.registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class EvaluationWrapper(nn.Module):
    """A model on one of several devices that exchanges nothing.

    DistributedDataParallel refuses a model without anything to train.

    Args:
        module (nn.Module): The model.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def test_step(self, data: dict) -> Any:
        """See mmengine's ``BaseModel``."""
        return self.module.test_step(data)
