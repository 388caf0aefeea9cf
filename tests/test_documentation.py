"""What the pages tell a reader to type runs, here or in a test they name."""
import re

import pytest
import torch
from clean_python import ROOT
from mmengine.config import Config
from mmpretrain.models import VisionTransformer
from tiny import build_runner
from video_factory import write_video
from warm_python import run_warm

from dora_mm.__main__ import COMMANDS
from dora_mm.utils.shipped_configs import config_path

PAGES = [
    ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md')),
    *sorted((ROOT / 'configs').rglob('README.md'))
]
NOT_RUN_HERE = 'not run here'
# Each program that a page tells to run, and the test that runs it.
PROGRAMS = {
    'dora_mm.cfg': 'tests/utils/test_shipped_configs.py',
    'dora_mm.utils.collect_env': 'tests/utils/test_stack.py',
    'benchmarks/before_after.py': 'tests/test_benchmarks.py',
    'benchmarks/cuts.py': NOT_RUN_HERE,
    'benchmarks/damage.py': NOT_RUN_HERE,
    'benchmarks/davis_speed.py': NOT_RUN_HERE,
    'benchmarks/end_to_end.py': NOT_RUN_HERE,
    'benchmarks/exact_reads.py': NOT_RUN_HERE,
    'benchmarks/gpu.sh': NOT_RUN_HERE,
    'benchmarks/guards.py': NOT_RUN_HERE,
    'benchmarks/knn_search.py': NOT_RUN_HERE,
    'benchmarks/loader.py': NOT_RUN_HERE,
    'benchmarks/loader_before_after.py': NOT_RUN_HERE,
    'benchmarks/loader_scaling.py': NOT_RUN_HERE,
    'benchmarks/make_test_video.py': NOT_RUN_HERE,
    'benchmarks/mixing.py': NOT_RUN_HERE,
    'benchmarks/precision.py': NOT_RUN_HERE,
    'benchmarks/prepare.py': NOT_RUN_HERE,
    'benchmarks/prepare_checks.py': NOT_RUN_HERE,
    'benchmarks/scaling.py': NOT_RUN_HERE,
    'benchmarks/step.py': 'tests/test_benchmarks.py',
    'benchmarks/step_counts.py': 'tests/test_step_counts.py',
    'benchmarks/views.py': NOT_RUN_HERE,
    'benchmarks/wt_mini.py': 'tests/test_wt_mini.py',
    'tools/ablate.py': 'tests/tools/test_ablate.py',
    'tools/analysis_tools/browse_dataset.py': 'tests/tools/test_look_tools.py',
    'tools/analysis_tools/health.py': 'tests/tools/test_analysis_tools.py',
    'tools/analysis_tools/plot_losses.py':
    'tests/tools/test_analysis_tools.py',
    'tools/analysis_tools/video_stats.py':
    'tests/tools/test_analysis_tools.py',
    'tools/audit.py': 'tests/apis/test_audit.py',
    'tools/benchmarks/<host>/dist_train.sh':
    'tests/tools/test_benchmark_launchers.py',
    'tools/benchmarks/<host>/mim_dist_train.sh':
    'tests/tools/test_benchmark_launchers.py',
    'tools/benchmarks/<host>/slurm_train.sh':
    'tests/tools/test_benchmark_launchers.py',
    'tools/build_docs.sh': '.ci/run',
    'tools/convert_checkpoint.py': 'tests/tools/test_load_trusted.py',
    'tools/demo.py': 'tests/tools/test_demo.py',
    'tools/dist_train.sh': 'tests/test_tools_train.py',
    'tools/embed.py': 'tests/apis/test_embed.py',
    'tools/evaluate_all.py': 'tests/tools/test_evaluate_all.py',
    'tools/prepare_video.py': 'tests/tools/test_prepare_video.py',
    'tools/publish_backbone.py': 'tests/tools/test_publish_backbone.py',
    'tools/replay.py': 'tests/tools/test_replay.py',
    'tools/run_demo.sh': NOT_RUN_HERE,
    'tools/run_tests.sh': '.ci/run',
    'tools/setup_env.sh': '.ci/run',
    'tools/slurm_train.sh': NOT_RUN_HERE,
    'tools/test.py': 'tests/conftest.py',
    'tools/train.py': 'tests/tools/test_train_command.py',
    'tools/visualize_features.py': 'tests/tools/test_look_tools.py',
    'tools/visualize_tracks.py': 'tests/tools/test_visualize_tracks.py',
}
PROGRAM = re.compile(r'(?<![\w/])(?:python|\$PY|bash|torchrun [^`\n]*?) '
                     r'(?:-m (dora_mm\.[\w.]+)|'
                     r'((?:tools|benchmarks)/[\w/<>]+\.\w+))|'
                     r'(?:-m dora_mm|(?<![\w/"])dora-mm) ([a-z]+)\b')


def commands():
    """(page, program, rest of the command) of all pages."""
    for page in PAGES:
        text = page.read_text().replace('\\\n', ' ')
        for found in PROGRAM.finditer(text):
            module, program, command = found.groups()
            if command:
                program = COMMANDS[command][0]
                if program.endswith('.py'):
                    program = f'tools/{program}'
            rest = re.split('[`#\n]', text[found.end():])[0]
            yield page.name, program or module, rest


def code_block(page, language, number=0):
    """A fenced block of a page."""
    blocks = re.findall(rf'^```{language}\n(.*?)^```$',
                        (ROOT / page).read_text(), re.S | re.M)
    return blocks[number]


def test_every_command_has_a_test():
    found = {program for _, program, _ in commands()}
    assert found == set(PROGRAMS)
    for program, test in PROGRAMS.items():
        if test != NOT_RUN_HERE:
            stem = re.sub(r'\.(py|sh)$', '', program.split('/')[-1])
            stem = stem.rpartition('.')[2]
            assert stem in (ROOT / test).read_text(), program


def test_options_of_commands_exist():
    """Of a program, or of the one that it starts."""
    for page, program, rest in commands():
        if not program.endswith(('.py', '.sh')):
            continue
        text = (ROOT / program.replace('<host>', 'mmsegmentation')).read_text()
        if program.endswith('train.sh'):
            text += (ROOT / 'tools/train.py').read_text()
        if program.startswith('benchmarks/'):  # they share some
            text = ''.join(p.read_text()
                           for p in (ROOT / 'benchmarks').glob('*.py'))
        for option in re.findall(r'(?<=\s)--[a-z][\w-]*', rest):
            assert f"'{option}'" in text, (page, program, option)


def test_plain_pytorch_runs(tmp_path):
    write_video(tmp_path / 'walk.mp4', 12)
    (tmp_path / 'loop.py').write_text(
        code_block('docs/plain_pytorch.md', 'python'))
    lines = run_warm('loop.py', cwd=tmp_path).stdout.splitlines()
    steps = [line.split() for line in lines if re.match(r'\d+ \d', line)]
    assert [int(step) for step, *_ in steps] == [0, 1]
    # two terms, each near log(P) before anything is learnt
    assert float(steps[0][1]) == pytest.approx(2 * 5.55, rel=0.3)
    stock = VisionTransformer('deit-tiny', img_size=112)
    stock.load_state_dict(torch.load(tmp_path / 'backbone.pth'), strict=True)


def test_log_page_has_every_scalar(tmp_path):
    cfg = Config.fromfile(config_path('dora/vit-t16_demo'))
    runner = build_runner(
        tmp_path,
        cfg.custom_hooks,
        max_epochs=1,
        default_hooks=dict(
            checkpoint=None,
            runtime_info=dict(type='dora_mm.LateRuntimeInfoHook')))
    runner.train()
    logged = {
        name.partition('/')[2]
        for name in runner.message_hub.log_scalars
    }
    table = code_rows((ROOT / 'docs/log.md').read_text())
    # memory is that of a GPU
    assert logged - {'base_lr'} == table - {'memory'}


def code_rows(text):
    """Names in the first column of a table."""
    return {
        name
        for line in text.splitlines() if line.startswith('| `')
        for name in re.findall('`(.*?)`', line.split('|')[1])
    }


def test_documented_config_is_the_recipe():
    """The file to copy changes nothing but the folders."""
    text = code_block('docs/configs.md', 'python')
    cfg = Config.fromstring(text, '.py')
    base = Config.fromfile(config_path('dora/vit-s16_wt'))
    for part in (cfg, base):
        part.pop('work_dir', None)
        part.train_dataloader.dataset.pop('video')
        part.pop('video', None)
    assert cfg.to_dict() == base.to_dict()


def test_segmentation_base_of_the_faq(tmp_path):
    pytest.importorskip('mmseg')
    (tmp_path / 'c.py').write_text(code_block('docs/faq.md', 'python', 1))
    code = ('from mmengine.config import Config; '
            'print(Config.fromfile("c.py").model.decode_head.type)')
    assert 'UPerHead' in run_warm('-c', code, cwd=tmp_path).stdout


def test_chinese_readme_says_the_same():
    """Its commands, links, recipes and numbers, in the same order."""
    english, chinese = (
        (ROOT / name).read_text()
        for name in ('README.md', 'README_zh-CN.md'))
    for pattern in (r'^```\w+\n.*?^```$', r'\]\(((?:docs|configs).*?)\)',
                    r'`(dora/[^`]+|dino/[^`]+)`', r'\b\d\d\.\d\b',
                    r'`((?:dora-mm|mim|bash) [^`]+)`'):
        found = [
            [' '.join(text.split()) for text in
             re.findall(pattern, page, re.S | re.M)]
            for page in (english, chinese)
        ]
        assert found[0] == found[1] and found[0], pattern


def test_own_backbone_of_the_faq(tmp_path):
    """Two files in one block, each under its name."""
    text = code_block('docs/faq.md', 'python')
    module, config = text.split('# my_config.py\n')
    (tmp_path / 'my_vit.py').write_text(module)
    config = config.replace('vit-s16_wt', 'vit-t16_demo')
    (tmp_path / 'c.py').write_text(config)
    code = ('from mmengine.config import Config; '
            'from mmengine.registry import init_default_scope; '
            'from dora_mm.registry import MODELS; '
            'cfg = Config.fromfile("c.py"); '
            'init_default_scope(cfg.default_scope); '
            'print(type(MODELS.build(cfg.model).backbone).__name__)')
    done = run_warm('-c', code, cwd=tmp_path, path=[tmp_path])
    assert done.stdout.split()[-1:] == ['MyViT'], done.stderr
