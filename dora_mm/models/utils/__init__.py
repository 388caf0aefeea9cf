from .overlap import mean_overlap
from .pos_embed import resize_pos_embed_dino
from .sinkhorn import check_sinkhorn, sinkhorn_knopp
from .structures import ObjectTracks, TrackFeatures

__all__ = [
    'ObjectTracks', 'TrackFeatures', 'check_sinkhorn', 'mean_overlap',
    'resize_pos_embed_dino', 'sinkhorn_knopp'
]
