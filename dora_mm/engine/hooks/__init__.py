from .finite_hook import FiniteHook
from .freeze_last_layer_hook import FreezeLastLayerHook
from .health_hook import HealthHook
from .knn_hook import KNNHook
from .late_runtime_info_hook import LateRuntimeInfoHook
from .linear_probe_hook import LinearProbeHook
from .per_parameter_clip_hook import PerParameterClipHook
from .pretrain_monitor_hook import PretrainMonitorHook
from .replaced_clip_hook import ReplacedClipHook
from .run_plan_hook import RunPlanHook
from .step_checkpoint_hook import StepCheckpointHook
from .step_seed_hook import StepSeedHook
from .teacher_ema_hook import TeacherEMAHook
from .teacher_temp_hook import TeacherTempHook
from .track_panel_hook import TrackPanelHook

__all__ = [
    'FiniteHook', 'FreezeLastLayerHook', 'HealthHook', 'KNNHook',
    'LateRuntimeInfoHook', 'LinearProbeHook', 'PerParameterClipHook',
    'PretrainMonitorHook', 'ReplacedClipHook', 'RunPlanHook',
    'StepCheckpointHook', 'StepSeedHook', 'TeacherEMAHook', 'TeacherTempHook',
    'TrackPanelHook'
]
