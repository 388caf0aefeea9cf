import json

from mmengine.dist import all_reduce, is_main_process
from mmengine.hooks import Hook

from dora_mm.registry import HOOKS


@HOOKS.register_module()
class LossRecorder(Hook):
    """Write the loss of each iteration, mean over ranks, to a file at once."""

    priority = 'HIGHEST'

    def __init__(self, path):
        self.path = path

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None):
        loss = outputs['loss'].detach().clone()
        all_reduce(loss, op='mean')
        if is_main_process():
            with open(self.path, 'a') as file:
                file.write(json.dumps([runner.iter, loss.item()]) + '\n')
