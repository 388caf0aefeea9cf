import os

import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(scope='session', autouse=True)
def cache_folder(tmp_path_factory):
    """Keep what is saved between runs out of the user's cache."""
    old = os.environ.get('DORA_MM_CACHE')
    folder = tmp_path_factory.mktemp('cache')
    os.environ['DORA_MM_CACHE'] = str(folder)
    yield folder
    if old is None:
        del os.environ['DORA_MM_CACHE']
    else:
        os.environ['DORA_MM_CACHE'] = old


@pytest.fixture(autouse=True)
def no_default_scope():
    """A test that needs a default scope must not live on another one's."""
    DefaultScope._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()
