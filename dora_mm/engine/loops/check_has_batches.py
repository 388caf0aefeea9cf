from torch.utils.data import DataLoader, IterableDataset


def check_has_batches(loader: DataLoader) -> None:
    """Refuse a loader of which a run gets nothing.

    mmengine's loops end such a run as one that trained.

    Args:
        loader (DataLoader): For training.

    Raises:
        ValueError: If there is less than one batch.
    """
    if isinstance(loader.dataset, IterableDataset) or len(loader):
        return
    raise ValueError(
        'train_dataloader.batch_size must be at most the '
        f"{len(loader.sampler)} clips of a rank's epoch, but got "
        f'{loader.batch_size}: lower it, or lower start_stride')
