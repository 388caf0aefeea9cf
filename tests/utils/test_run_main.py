import pytest

from dora_mm.utils.run_main import run_main


def test_reason_of_a_death_inside_a_bare_except_is_told():
    """mmengine formats the config of a checkpoint inside one.

    There the death of a data worker read "Failed to format the config file".
    """

    def main():
        try:
            raise RuntimeError('DataLoader worker 7 is killed')
        except:  # noqa: E722
            raise SyntaxError('Failed to format the config file')

    with pytest.raises(SystemExit) as info:
        run_main(main)
    assert info.value.code == (
        'error: DataLoader worker 7 is killed (then SyntaxError)')
