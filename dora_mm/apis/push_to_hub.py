from pathlib import Path
from typing import Union

from dora_mm.utils.need_package import need_package


def push_to_hub(folder: Union[str, Path],
                repo_id: str,
                private: bool = True) -> str:
    """Upload a folder of :func:`write_card` to the Hugging Face Hub.

    The token is what ``hf auth login`` or ``HF_TOKEN`` gave to
    huggingface_hub.

    Args:
        folder (str | Path): What to upload.
        repo_id (str): ``USER/NAME``; made if there is none.
        private (bool): Whether a new one is seen by its owner only. Defaults
            to True.

    Returns:
        str: Address of the model.

    Raises:
        ValueError: If the name is no ``USER/NAME``, or there is no card.
        ImportError: If huggingface_hub is not installed.
    """
    check_upload(repo_id)
    if not (Path(folder) / 'README.md').is_file():
        raise ValueError(f'folder must hold a README.md, but got {folder}: '
                         'write one with dora-mm publish --card')
    from huggingface_hub import HfApi
    api = HfApi()
    url = api.create_repo(repo_id=repo_id, private=private, exist_ok=True)
    api.upload_folder(
        repo_id=repo_id,
        folder_path=str(folder),
        commit_message='Add a backbone published by dora_mm')
    return str(url)


def check_upload(repo_id: str) -> None:
    """Refuse what cannot be uploaded, before work is done for it.

    Args:
        repo_id (str): See :func:`push_to_hub`.

    Raises:
        ValueError: If the name is no ``USER/NAME``.
        ImportError: If huggingface_hub is not installed.
    """
    if repo_id.count('/') != 1 or not all(repo_id.split('/')):
        raise ValueError('--push-to-hub must be USER/NAME, but got '
                         f'{repo_id}: name the model of your account')
    need_package('huggingface_hub', '--push-to-hub', 'huggingface_hub')
