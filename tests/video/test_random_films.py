"""Random access equals one pass on films of random kinds, or is refused."""
import numpy as np
import pytest
from random_films import fault_of, make_film, picture


def test_pictures_in_a_row_are_told_apart():
    pictures = np.stack([picture(n, 128, 50) for n in range(161)]).astype(int)
    assert np.abs(np.diff(pictures, axis=0)).mean((1, 2, 3)).min() > 10


@pytest.mark.filterwarnings('ignore:.*promises')
# Beyond the first: AVI whose times begin late, and groups of two frames that
# errors of the decoder reach across; groups that tell it to drop pictures that
# were cut off.
@pytest.mark.parametrize('seed', [*range(20), 1009, 2059, 2596])
def test_random_access_is_one_pass(tmp_path, monkeypatch, seed):
    monkeypatch.setenv('DORA_MM_CACHE', str(tmp_path))
    film = make_film(tmp_path, seed)
    _, fault = fault_of(film, tmp_path / 'out', prepare=seed % 4 == 0)
    assert not fault, film.recipe
