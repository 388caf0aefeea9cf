"""The programs of dora_mm: ``dora-mm COMMAND ...``.

``python -m dora_mm COMMAND ...`` is the same, with a python of one's choice.
"""
import difflib
import importlib
import importlib.util
import sys
from types import ModuleType

from .utils.run_main import run_main
from .utils.shipped_configs import tool_path

# name: a file of tools/ or a module, and what it does
COMMANDS = dict(
    demo=('demo.py', 'pretrain a tiny model in minutes'),
    prepare=('prepare_video.py', 'make videos fast to read, and check them'),
    audit=('audit.py', 'what videos hold, and what training on them takes'),
    browse=('analysis_tools/browse_dataset.py',
            'look at clips and views as a model gets them'),
    train=('train.py', 'pretrain, or train any mmengine config'),
    replay=('replay.py', 'repeat the iterations that stopped a run'),
    losses=('analysis_tools/plot_losses.py', 'draw the curves of runs'),
    health=('analysis_tools/health.py', 'without labels, does a model learn'),
    visualize=('visualize_tracks.py', 'draw what a model tracks in a video'),
    features=('visualize_features.py', 'draw attention and components'),
    test=('test.py', 'evaluate a frozen backbone'),
    evaluate=('evaluate_all.py', 'run all evaluations that have their data'),
    embed=('embed.py', 'write the features of images or a video'),
    ablate=('ablate.py', 'train configs with seeds, and compare them'),
    publish=('publish_backbone.py', 'write a backbone as a file of tensors'),
    convert=('convert_checkpoint.py', 'convert between layouts'),
    configs=('dora_mm.cfg', 'list the shipped configs, or print a path'),
    env=('dora_mm.utils.collect_env', 'what is installed, what is missing'))
# These run where the hosts cannot be imported.
BARE = ('configs', 'env')


def usage() -> str:
    """The help text."""
    lines = [f'  {name:10} {what}' for name, (_, what) in COMMANDS.items()]
    return '\n'.join([
        'usage: dora-mm COMMAND ...', '',
        'dora-mm COMMAND --help describes one. A config is a file or the name '
        'of a', 'shipped one (dora/vit-s16_wt). --traceback shows where an '
        'error arose.', '', *lines
    ])


def load_program(place: str) -> ModuleType:
    """Import a program without running it.

    Args:
        place (str): A file of tools/ or a module's name.
    """
    if not place.endswith('.py'):
        return importlib.import_module(place)
    path = tool_path(place)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> object:
    """Run the command that ``sys.argv`` names.

    Returns:
        object: What its ``main`` returns; a number is the exit status.

    Raises:
        ValueError: There is no such command.
        ImportError: A host package is missing or of a wrong version.
    """
    name, *rest = sys.argv[1:] or ['--help']
    if name in ('-h', '--help'):
        print(usage())
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1) or ['--help']
        raise ValueError(f'COMMAND must be one of {", ".join(COMMANDS)}, but '
                         f'got {name}: try dora-mm {near[0]}')
    sys.argv[:] = [f'dora-mm {name}', *rest]
    if name not in BARE:
        from . import prepare_hosts
        prepare_hosts()
    return load_program(COMMANDS[name][0]).main(rest)


def console() -> None:
    """The script ``dora-mm``: :func:`main`, a mistake as one sentence."""
    run_main(main)


if __name__ == '__main__':
    console()
