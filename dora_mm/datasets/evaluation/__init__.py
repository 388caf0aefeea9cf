"""Labelled images and videos to evaluate a frozen backbone on."""
from .class_folder_dataset import ClassFolderDataset
from .davis_dataset import DAVISDataset
from .got10k_dataset import GOT10kDataset
from .jhmdb_dataset import JHMDBDataset
from .object_box_dataset import ObjectBoxDataset
from .semantic_mask_dataset import SemanticMaskDataset
from .vip_dataset import VIPDataset

__all__ = [
    'ClassFolderDataset', 'DAVISDataset', 'GOT10kDataset', 'JHMDBDataset',
    'ObjectBoxDataset', 'SemanticMaskDataset', 'VIPDataset'
]
