import sys
from importlib import metadata

import pytest
from clean_python import check_run, run
from packaging.requirements import Requirement

from dora_mm.utils import collect_env, stack


@pytest.fixture
def dists(monkeypatch):
    """The installed distributions, name to version, to be changed."""
    installed = {
        'torch': '2.11.0+cu130',
        'onedl-mmengine': '0.10.12',
        'onedl-mmcv': '2.3.6',
        'onedl-mmpretrain': '1.3.6',
    }

    def version(name):
        if name not in installed:
            raise stack.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(stack.metadata, 'version', version)
    return installed


@pytest.mark.parametrize('versions', [
    {},
    {'torch': '2.4.0a0+git123'},
    {'torch': '2.4'},
    {'onedl-mmcv': '2.3.99'},
    {'onedl-mmengine': '0.10.7'},
])  # yapf: disable
def test_accepted_versions(dists, versions):
    dists.update(versions)
    stack.check_host_packages()


@pytest.mark.parametrize(('name', 'version', 'command'), [
    ('torch', '2.3.1+cu121', 'pip install "torch>=2.4,<2.13"'),
    ('onedl-mmengine', '0.10.6', 'pip install "onedl-mmengine>=0.10.7,<0.11"'),
    ('onedl-mmcv', '2.4.0', 'pip install "onedl-mmcv>=2.1.0,<2.4.0"'),
    ('onedl-mmpretrain', '1.1.9',
     'pip install "onedl-mmpretrain>=1.2.0,<2.0"'),
])
def test_refused_versions_name_the_fix(dists, name, version, command):
    dists[name] = version
    with pytest.raises(ImportError) as error:
        stack.check_host_packages()
    assert f'but {version} is installed. Run: {command}' in str(error.value)


def test_official_release_is_repaired_by_its_own_name(dists):
    del dists['onedl-mmcv']
    dists['mmcv'] = '1.7.2'
    with pytest.raises(ImportError, match=r'pip install "mmcv>=2\.1\.0,<2'):
        stack.check_host_packages()


def test_missing_package_names_the_fix(dists, monkeypatch):
    del dists['onedl-mmpretrain']
    monkeypatch.setattr(stack, 'find_spec', lambda name: None)
    with pytest.raises(
            ImportError,
            match=r'mmpretrain>=1.2.0,<2.0, which is not installed. '
            r'Run: pip install "dora-mm\[onedl\]"'):
        stack.check_host_packages()


def test_source_tree_is_asked_for_its_version(tmp_path, monkeypatch):
    """A clone on PYTHONPATH has no metadata."""
    (tmp_path / 'host_clone.py').write_text('__version__ = "2.3.0"')
    monkeypatch.syspath_prepend(tmp_path)
    host = stack.HostPackage('host_clone', ('host-clone', ), '2.1', '2.3.1')
    stack.check_host_package(host)
    with pytest.raises(
            ImportError,
            match='but 2.3.0 is installed. Run: pip install '
            '"host-clone>=2.1,<2.3"'):
        stack.check_host_package(host._replace(limit='2.3'))


@pytest.mark.parametrize(('change', 'flavour'), [
    ({}, 'OneDL'),
    ({'mmcv-lite': '2.2.0'}, 'mixed'),
])  # yapf: disable
def test_stack_flavour(dists, change, flavour):
    dists.update(change)
    assert stack.stack_flavour() == flavour


def test_stack_flavour_without_onedl(dists):
    dists.clear()
    assert stack.stack_flavour() == 'unknown'
    dists['mmengine'] = '0.10.7'
    assert stack.stack_flavour() == 'OpenMMLab'


@pytest.mark.parametrize(('transformers', 'pycocotools', 'broken'), [
    ('5.0.0', '2.0.11', True),
    ('5.0.0rc1', '2.0.11', True),
    ('4.57.1', '2.0.11', False),
    ('5.0.0', None, False),
    (None, '2.0.11', False),
])
def test_multimodal_guard(dists, monkeypatch, transformers, pycocotools,
                          broken):
    from mmpretrain.utils import dependency
    monkeypatch.setattr(dependency, 'WITH_MULTIMODAL', 'untouched')
    for name, version in (('transformers', transformers), ('pycocotools',
                                                           pycocotools)):
        if version is not None:
            dists[name] = version
    stack.guard_multimodal()
    assert dependency.WITH_MULTIMODAL == (False if broken else 'untouched')
    assert ('Warning' in collect_env.collect_env()) is broken


def test_collect_env_tells_what_is_installed(dists, capsys):
    dists['opencv-python-headless'] = '4.12.0.88'
    collect_env.main([])
    lines = capsys.readouterr().out.splitlines()
    assert 'Stack: OneDL' in lines
    assert 'torch: 2.11.0+cu130 (torch)' in lines
    assert 'Video reader OpenCV: 4.12.0.88 (opencv-python-headless)' in lines
    assert 'Video reader decord: not installed' in lines
    assert sum(line.startswith('mmcv ops: ') for line in lines) == 1


def test_mmcv_ops_are_found_without_importing_mmcv(tmp_path, monkeypatch):
    (tmp_path / 'mmcv').mkdir()
    (tmp_path / 'mmcv' / '__init__.py').write_text('raise ImportError("GL")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'mmcv', raising=False)
    assert not collect_env.has_mmcv_ops()
    (tmp_path / 'mmcv' / '_ext.cpython-311.so').touch()
    assert collect_env.has_mmcv_ops()


@pytest.mark.parametrize('package', stack.HOST_PACKAGES)
def test_import_check_and_extras_agree(package):
    """A version that pip may install is not refused, and the other way."""
    ranges = [
        {clause.operator: clause.version for clause in found.specifier}
        for found in map(Requirement, metadata.requires('dora-mm'))
        if found.name in package.dists
    ]
    assert ranges
    version = stack.Version
    assert min(version(r['>=']) for r in ranges) == version(package.minimum)
    assert max(version(r['<']) for r in ranges) == version(package.limit)


@pytest.mark.parametrize('command', ['dora_mm env', 'dora_mm.utils.collect_env'
                                     ])
def test_report_comes_where_a_package_is_missing(tmp_path, command):
    """Torch does not load, mmpretrain is too old; the report names both."""
    (tmp_path / 'torch.py').write_text('raise OSError("libcudart is gone")')
    info = tmp_path / 'onedl_mmpretrain-1.0.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: onedl-mmpretrain\nVersion: 1.0.0\n')
    out = check_run(
        sys.executable, '-m', *command.split(), cwd=tmp_path, path=[tmp_path])
    lines = dict(line.split(': ', 1) for line in out.splitlines())
    assert lines['mmpretrain'].endswith(
        'Run: pip install "onedl-mmpretrain>=1.2.0,<2.0"')
    assert 'libcudart is gone' in lines['Device']
    # every other program ends with the same sentence
    command = ('-m', 'dora_mm', 'train')
    done = run(sys.executable, *command, cwd=tmp_path, path=[tmp_path])
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(
        'error: dora_mm needs mmpretrain>=1.2.0,<2.0, but 1.0.0')
