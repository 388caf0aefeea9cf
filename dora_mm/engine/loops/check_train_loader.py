from torch.utils.data import DataLoader, IterableDataset


def check_train_loader(loader: DataLoader) -> None:
    """Refuse a loader of which a run gets nothing, or not what it should.

    mmengine's loops end a run without a batch as one that trained. A sampler
    whose ``check_loader`` refuses the loader deals out other batches.

    Args:
        loader (DataLoader): For training.

    Raises:
        ValueError: If there is less than one batch, or by the sampler.
    """
    if hasattr(loader.sampler, 'check_loader'):
        loader.sampler.check_loader(loader)
    if isinstance(loader.dataset, IterableDataset) or len(loader):
        return
    raise ValueError(
        'train_dataloader.batch_size must be at most the '
        f"{len(loader.sampler)} clips of a rank's epoch, but got "
        f'{loader.batch_size}: lower it, or lower start_stride')
