"""What may import what, and what an import costs or breaks."""
import ast
import sys
from pathlib import Path

import pytest
from clean_python import ROOT, check_run, run

import dora_mm

PACKAGE = Path(dora_mm.__file__).parent
# A part may import itself and parts of a lower rank. Parts of the same rank do
# not know each other. Every module lies in a part, those of the package's own
# folder aside.
RANKS = {
    'dora_mm.version': 0,
    'dora_mm.utils': 1,
    'dora_mm.registry': 1,
    'dora_mm.video': 2,
    'dora_mm.checkpoints': 2,
    'dora_mm.models.utils': 2,
    'dora_mm.evaluation': 3,
    'dora_mm.datasets': 3,
    'dora_mm.models.losses': 3,
    'dora_mm.models.necks': 3,
    'dora_mm.models.heads': 3,
    'dora_mm.models.data_preprocessors': 3,
    'dora_mm.models.backbones': 4,
    'dora_mm.models.selfsup': 5,
    'dora_mm.models.evaluators': 5,
    'dora_mm.models': 6,
    'dora_mm.visualization': 7,
    'dora_mm.engine': 8,
    'dora_mm.apis': 9,
}


def imported_names(path, module):
    """Absolute names of all that a file imports, in functions as well."""
    package = module if path.name == '__init__.py' else module.rpartition(
        '.')[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split('.')
            base = parents[:len(parents) - node.level + 1] * (node.level > 0)
            base = '.'.join(base + [node.module] * (node.module is not None))
            yield from (f'{base}.{alias.name}' for alias in node.names)


def all_imports():
    """Pairs (module, name it imports) over the package."""
    pairs = []
    for path in PACKAGE.rglob('*.py'):
        parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
        if '.mim' in parts:
            continue
        module = '.'.join(p for p in parts if p != '__init__')
        pairs += [(module, name) for name in imported_names(path, module)]
    return pairs


def part_of(name, parts):
    """The part, a package or module, that a dotted name lies in."""
    found = [p for p in parts if name == p or name.startswith(p + '.')]
    return max(found, key=len, default=None)


def test_imports_are_resolved():
    """The tests below would pass on no imports at all."""
    pairs = all_imports()
    assert ('dora_mm.models.backbones.dora_vit',
            'dora_mm.registry.MODELS') in pairs
    assert ('dora_mm', 'dora_mm.version.__version__') in pairs


def test_imports_point_one_way():
    wrong = []
    for module, name in all_imports():
        source, target = part_of(module, RANKS), part_of(name, RANKS)
        if None not in (source, target) and source != target:
            if RANKS[target] >= RANKS[source]:
                wrong.append(f'{module} imports {name}')
    assert not wrong


def test_every_part_has_a_rank():
    """A new folder must be given its place."""
    modules = {module for module, _ in all_imports()}
    assert {m for m in modules if part_of(m, RANKS) is None
            } == {'dora_mm', 'dora_mm.cfg', 'dora_mm.__main__'}


@pytest.mark.parametrize(('importer', 'imported'), [
    ('dora_mm.models', 'dora_mm.datasets'),
    ('dora_mm.models', 'dora_mm.video'),
    ('dora_mm.datasets', 'dora_mm.checkpoints'),
    ('dora_mm.evaluation', 'dora_mm.models'),
    ('dora_mm.video', 'dora_mm.registry'),
    ('dora_mm.video', 'mmpretrain'),
    ('dora_mm.video', 'mmcv'),
    ('dora_mm.video', 'torch'),
    ('dora_mm.checkpoints', 'dora_mm.registry'),
    ('dora_mm', 'tools'),
    ('dora_mm', 'tests'),
])
def test_strangers(importer, imported):
    assert not [(module, name) for module, name in all_imports()
                if part_of(module, [importer]) and part_of(name, [imported])]


def test_models_import_no_video_decoder(tmp_path):
    """Every user of a host package that builds our backbone would pay."""
    # Older torchvision releases import PyAV themselves.
    code = ('import sys, mmpretrain.models; before = set(sys.modules)\n'
            'import dora_mm.models\n'
            'print([m for m in set(sys.modules) - before if m.split(".")[0] '
            'in ("decord", "av", "imageio", "torchcodec") or '
            'm.startswith(("dora_mm.datasets", "dora_mm.video"))])')
    out = check_run(sys.executable, '-c', code, cwd=tmp_path)
    assert out.splitlines()[-1] == '[]'


def test_video_import_is_light(tmp_path):
    """A worker that prepares a video starts in a blink; so do the tools."""
    code = ('import sys, dora_mm.video.readers, '
            'dora_mm.video.preparation.prepare_videos\n'
            'print([m for m in sys.modules '
            'if m in ("torch", "mmcv", "mmpretrain", "mmdet", "decord")])')
    out = check_run(sys.executable, '-c', code, cwd=tmp_path)
    assert out.splitlines()[-1] == '[]'


def test_package_import_is_light(tmp_path):
    code = ('import sys, dora_mm; print([m for m in sys.modules '
            'if m in ("torch", "mmcv", "mmpretrain", "cv2", "decord")])')
    out = check_run(sys.executable, '-c', code, cwd=tmp_path)
    assert out.splitlines()[-1] == '[]'


def fake_dist(folder, name, version):
    """Make the metadata of a distribution."""
    info = folder / f'{name.replace("-", "_")}-{version}.dist-info'
    info.mkdir(parents=True)
    metadata = f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'
    (info / 'METADATA').write_text(metadata)


@pytest.mark.parametrize(('code', 'status'), [
    ('import mmpretrain.models', 1),
    ('import dora_mm, mmpretrain.models', 0),
    ('import dora_mm.models', 0),
])
def test_transformers_5_with_pycocotools(tmp_path, code, status):
    """mmpretrain alone crashes there (the first case); with us it does not."""
    fake_dist(tmp_path, 'transformers', '5.23.0')
    fake_dist(tmp_path, 'pycocotools', '2.0.11')
    # Like transformers 5: there, without the names that mmpretrain takes.
    module = tmp_path / 'transformers' / '__init__.py'
    module.parent.mkdir()
    module.write_text('__version__ = "5.23.0"')
    done = run(sys.executable, '-c', code, cwd=module.parent, path=[tmp_path])
    assert done.returncode == status, done.stderr


def test_old_host_package_stops_the_import(tmp_path):
    fake_dist(tmp_path, 'onedl-mmcv', '2.0.1')
    done = run(
        sys.executable, '-c', 'import dora_mm', cwd=tmp_path, path=[tmp_path])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        'ImportError: dora_mm needs mmcv>=2.1.0,<2.4.0, but 2.0.1 is '
        'installed. Run: pip install "onedl-mmcv>=2.1.0,<2.4.0"')


def test_metafiles_name_the_configs_there_are():
    """Every recipe is listed, once, and claims no result of its own."""
    yaml = pytest.importorskip('yaml')
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    models = []
    for path in index['Import']:
        models += yaml.safe_load((ROOT / path).read_text())['Models']
    listed = sorted(model['Config'] for model in models)
    there = sorted(
        path.relative_to(ROOT).as_posix() for folder in ('dora', 'dino')
        for path in (ROOT / 'configs' / folder).rglob('*.py'))
    assert listed == there
    assert len({model['Name'] for model in models}) == len(models)
    assert all(m['Results'] is None and m['Weights'] is None for m in models)
