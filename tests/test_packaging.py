"""What a user gets from the wheel, the sdist and an editable install."""
import json
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from shutil import copy2, copytree, ignore_patterns

import pytest
from clean_python import ROOT, check_run, run

CONFIG = 'dora/vit-s16_wt.py'
SOURCES = ('CITATION.cff', 'LICENSE', 'MANIFEST.in', 'configs', 'dora_mm',
           'model-index.yml', 'pyproject.toml', 'requirements', 'setup.cfg',
           'setup.py', 'tools')


def make_env(folder, *requirement):
    """Make an environment with all that runs the tests except dora_mm.

    Linking the installed packages one by one, rather than their folder, leaves
    the dora_mm under test out, wherever it is installed.
    """
    check_run(sys.executable, '-m', 'venv', '--without-pip', folder / 'venv')
    linked = folder / 'linked'
    linked.mkdir()
    for site in filter(None, sys.path):
        if Path(site).name not in ('site-packages', 'dist-packages'):
            continue
        for entry in Path(site).iterdir():
            link = linked / entry.name
            if 'dora_mm' not in entry.name and not link.exists():
                link.symlink_to(entry)
    python = folder / 'venv' / 'bin' / 'python'
    site = sysconfig.get_path('purelib', vars=dict(base=str(folder / 'venv')))
    (Path(site) / 'linked.pth').write_text(f'{linked}\n')
    check_run(python, '-m', 'pip', 'install', '--quiet', '--no-deps',
              '--no-index', '--no-build-isolation', *requirement)
    return python


@pytest.fixture(scope='module')
def checkout(tmp_path_factory):
    """A copy of the sources, so that building leaves no trace."""
    copy = tmp_path_factory.mktemp('checkout') / 'dora_mm'
    copy.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            copytree(
                ROOT / name,
                copy / name,
                ignore=ignore_patterns('.mim', '__pycache__'))
        else:
            copy2(ROOT / name, copy / name)
    (copy / 'README.md').write_text('# dora_mm\n')
    return copy


@pytest.fixture(scope='module')
def dist(checkout, tmp_path_factory):
    """The folder with the sdist and the wheel made from it."""
    folder = tmp_path_factory.mktemp('dist')
    check_run(
        sys.executable,
        '-m',
        'build',
        '--no-isolation',
        '--outdir',
        folder,
        checkout,
        cwd=folder)
    return folder


@pytest.fixture(scope='module')
def wheel_python(dist, tmp_path_factory):
    return make_env(tmp_path_factory.mktemp('wheel'), *dist.glob('*.whl'))


@pytest.fixture(scope='module')
def editable_python(checkout, tmp_path_factory):
    return make_env(tmp_path_factory.mktemp('editable'), '-e', checkout)


@pytest.fixture(scope='module', params=['wheel', 'editable'])
def python(request):
    return request.getfixturevalue(f'{request.param}_python')


def mim_files():
    """The files that .mim must hold, name to content."""
    paths = [ROOT / 'model-index.yml']
    for folder in ('configs', 'tools'):
        paths += [
            path for path in (ROOT / folder).rglob('*')
            if path.is_file() and '__pycache__' not in path.parts
        ]
    return {
        f'dora_mm/.mim/{path.relative_to(ROOT).as_posix()}': path.read_bytes()
        for path in paths
    }


def test_wheel_holds_mim(dist):
    wheel, = dist.glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        content = {
            name: archive.read(name)
            for name in archive.namelist() if '/.mim/' in name
        }
        info = {
            Path(name).name: archive.read(name).decode()
            for name in archive.namelist() if '.dist-info/' in name
        }
    assert content == mim_files()
    # mim takes the first name as the module
    assert info['top_level.txt'] == 'dora_mm\n'
    # A plain install must not touch the user's torch or OpenMMLab packages.
    required = [
        line for line in info['METADATA'].splitlines()
        if line.startswith('Requires-Dist') and 'extra ==' not in line
    ]
    assert not [line for line in required if 'torch' in line or 'mm' in line]


def test_sdist_holds_mim_as_real_files(dist):
    sdist, = dist.glob('*.tar.gz')
    with tarfile.open(sdist) as archive:
        assert all(m.isfile() or m.isdir() for m in archive)
        content = {
            m.name.partition('/')[2]: archive.extractfile(m).read()
            for m in archive if m.isfile() and '/.mim/' in m.name
        }
    assert content == mim_files()


# Each way to inherit a config, tried in this order: the first two must work,
# or fail, in a program that has not imported dora_mm.
WAYS = {
    'before_import': "'dora_mm::{config}'",
    'config_path': "__import__('dora_mm').config_path('{config}')",
    'after_import': "'dora_mm::{config}'",
    'relative': '{relative!r}',
    'absolute': '{absolute!r}',
}
TRY_WAYS = """
import json, os, sys
from mmengine.config import Config
from mmengine.hub import get_config

ways, config, folder = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
results, paths = {}, dict(relative='', absolute='')
for name, base in ways.items():
    if name == 'after_import':
        import dora_mm
        paths['absolute'] = dora_mm.config_path(config)
        paths['relative'] = os.path.relpath(paths['absolute'], folder)
    file = os.path.join(folder, name + '.py')
    with open(file, 'w') as f:
        f.write('_base_ = ' + base.format(config=config, **paths))
    try:
        results[name] = Config.fromfile(file).model.type
    except BaseException as error:
        results[name] = f'{type(error).__name__}: {error}'
results['get_config'] = get_config('dora_mm::' + config).model.type
results['package'] = dora_mm.__file__
results['absolute_path'] = paths['absolute']
print(json.dumps(results))
"""


@pytest.fixture(scope='module')
def ways(python, tmp_path_factory):
    folder = tmp_path_factory.mktemp('ways')
    out = check_run(
        python, '-c', TRY_WAYS, json.dumps(WAYS), CONFIG, folder, cwd=folder)
    return json.loads(out.splitlines()[-1])


def test_base_by_package_name_needs_the_import(ways):
    """mmengine's table of packages is fixed; if this fails, it has learnt."""
    assert ways['before_import'].startswith('AssertionError')
    assert 'dora_mm' in ways['before_import']


@pytest.mark.parametrize(
    'way',
    ['config_path', 'after_import', 'relative', 'absolute', 'get_config'])
def test_base_resolves(ways, way):
    assert ways[way] == 'dora_mm.DoRA'


def test_configs_come_from_the_install(ways, checkout):
    package = Path(ways['package']).parent
    if 'site-packages' in package.parts:
        assert ways['absolute_path'] == str(package / '.mim/configs' / CONFIG)
    else:
        assert package == checkout / 'dora_mm'
        assert ways['absolute_path'] == str(checkout / 'configs' / CONFIG)


def test_checkout_without_install_finds_configs(checkout, tmp_path):
    """Only PYTHONPATH, and no .mim in the package."""
    copytree(checkout / 'configs', tmp_path / 'configs')
    copytree(
        checkout / 'dora_mm',
        tmp_path / 'dora_mm',
        ignore=ignore_patterns('.mim'))
    out = check_run(
        sys.executable,
        '-m',
        'dora_mm.cfg',
        CONFIG,
        cwd=tmp_path,
        path=[tmp_path])
    assert out == f'{tmp_path / "configs" / CONFIG}\n'


def test_commands_run_from_an_installation(python, tmp_path):
    """The script, the module and the tool in .mim are one program."""
    script = python.parent / 'dora-mm'
    path = check_run(script, 'configs', CONFIG, cwd=tmp_path).strip()
    tool = Path(path).parents[2] / 'tools' / 'train.py'
    for program in ([script, 'train'], [python, '-m', 'dora_mm', 'train'],
                    [python, tool]):
        done = run(*program, 'no.py', cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr == (
            'error: config must be a file, but got no.py: "dora-mm configs" '
            'lists those of dora_mm\n')


@pytest.mark.parametrize(('base', 'message'), [
    ('mmseg::_base_/default_runtime.py', None),
    ('dora_mm::dora/no-such.py', 'no-such.py'),
])
def test_other_base_by_package_name(python, tmp_path, base, message):
    """mmseg's entry in mmengine's table does not fit OneDL's name for it."""
    pytest.importorskip('mmseg')
    (tmp_path / 'c.py').write_text(f'_base_ = {base!r}')
    code = ('import dora_mm; from mmengine.config import Config; '
            'print(Config.fromfile("c.py").default_scope)')
    done = run(python, '-c', code, cwd=tmp_path)
    if message is None:
        assert done.stdout.splitlines()[-1] == 'mmseg', done.stderr
    else:
        assert done.returncode == 1 and message in done.stderr
