from mmengine.runner import Runner
from torch.utils.data import DataLoader


def labelled_loader(runner: Runner, dataset: dict, batch_size: int,
                    num_workers: int) -> DataLoader:
    """A loader of labelled images for a hook, in the order of the data set.

    Args:
        runner (Runner): Its seed is the loader's.
        dataset (dict): :class:`ClassFolderDataset`.
        batch_size (int): Images at a time.
        num_workers (int): Processes that read images.

    Returns:
        DataLoader: Each rank's share of the images.
    """
    return runner.build_dataloader(
        dict(
            dataset=dataset,
            batch_size=batch_size,
            num_workers=num_workers,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate')),
        seed=runner.seed)
