"""A training step with its optimiser, ours or the released way, in stages."""
import torch
from released_step import ReleasedStep
from step_tools import StageClock, build_model

from dora_mm.engine import DecayGroupsConstructor, PerParameterClipHook

MAX_NORM, MOMENTUM, LR = 3., 0.996, 1e-4


class TrainingStep:
    """A step with its optimiser, in stages.

    Args:
        args (argparse.Namespace): Options; ``set`` changes our model.
        way (str): 'ours' or 'released'.
        dtype (torch.dtype): Of autocast; float32 is without.
        model (DoRA, optional): Instead of one that the options describe.
    """

    def __init__(self, args, way, dtype, model=None):
        self.device = torch.device(args.device)
        self.dtype = dtype
        self.model = model or build_model(args, self.device,
                                          args.set if way == 'ours' else None)
        self.way = self.model if way == 'ours' else ReleasedStep(self.model)
        fused = dict(fused=True) if way == 'ours' else {}
        self.optimizer = DecayGroupsConstructor(
            dict(
                optimizer=dict(
                    type='AdamW', lr=LR, weight_decay=0.04, **fused)))(
                        self.model).optimizer
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=dtype is torch.float16)
        self.clock = StageClock(self.device)
        for owner, method, name in self._stages():
            self.clock.wrap(owner, method, name)
        self.optimizer.register_step_pre_hook(self._clip)

    def _stages(self):
        way, model = self.way, self.model
        if way is not model:
            return [(way, 'teach', 'teacher'), (way, 'track', 'tracker'),
                    (way, 'mask', 'masks'),
                    (way, 'see_objects', 'student, objects'),
                    (way, 'see_local', 'student, local'),
                    (way, 'cross_entropy', 'loss')]
        return [(model, '_teach', 'teacher'),
                (model.head, 'forward', 'tracker'),
                (model.mask_transform, 'transform', 'masks'),
                (model, '_see_objects', 'student, objects'),
                (model, 'student_features', 'student, local'),
                (model.loss_module, 'forward', 'loss')]

    def _clip(self, *_):
        with self.clock.stage('clip'):
            if self.way is self.model:
                PerParameterClipHook(MAX_NORM).clip(self.optimizer)
            else:
                self.scaler.unscale_(self.optimizer)
                self.way.clip(MAX_NORM)

    def loss(self, views, seed=0):
        """The loss, float32."""
        self.model.seed_step(seed)
        with torch.autocast(
                self.device.type,
                self.dtype,
                enabled=self.dtype is not torch.float32):
            loss = self.way.loss(views)
        if isinstance(loss, dict):
            loss = loss['loss_object'] + loss['loss_local']
        return loss

    def run(self, views, seed=0):
        """A whole step."""
        with self.clock.stage('step'):
            loss = self.loss(views, seed)
            with self.clock.stage('backward'):
                self.scaler.scale(loss).backward()
            with self.clock.stage('optimiser and clip'):
                self.scaler.step(self.optimizer)
                self.scaler.update()
                self.optimizer.zero_grad()
            with self.clock.stage('teacher update'):
                self.way.update_teacher(MOMENTUM)
        return loss

    def gradients(self, views):
        """The loss as a number, and the norm of each gradient."""
        loss = self.loss(views)
        loss.backward()
        norms = torch.stack([
            p.grad.norm() for p in self.model.parameters()
            if p.grad is not None
        ])
        self.optimizer.zero_grad()
        self.model.loss_module.center.zero_()
        return loss.item(), norms
