from .overlap import mean_overlap
from .pos_embed import resize_pos_embed_dino
from .sinkhorn import check_sinkhorn, plan_error, sinkhorn_knopp
from .structures import ObjectTracks, TrackFeatures
from .track_consistency import track_consistency

__all__ = [
    'ObjectTracks', 'TrackFeatures', 'check_sinkhorn', 'mean_overlap',
    'plan_error', 'resize_pos_embed_dino', 'sinkhorn_knopp',
    'track_consistency'
]
