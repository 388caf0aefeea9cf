from mmengine.runner import TestLoop

from dora_mm.evaluation.progress import progress
from dora_mm.registry import LOOPS


@LOOPS.register_module()
class ProgressTestLoop(TestLoop):
    """mmengine's test loop with a progress bar.

    Its arguments are those of :class:`mmengine.runner.TestLoop`.
    """

    def run(self) -> dict:
        """Test.

        Returns:
            dict[str, float]: Of the evaluator.
        """
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        self.runner.model.eval()
        self.predict()
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics

    def predict(self) -> None:
        """Go through the data and hand the predictions to the evaluator."""
        for idx, batch in enumerate(progress(self.dataloader, 'test')):
            self.run_iter(idx, batch)
