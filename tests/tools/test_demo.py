"""tools/demo.py, up to the training; run_demo.sh itself takes minutes."""
import json
import runpy
from pathlib import Path

import pytest
from clean_python import ROOT
from video_factory import write_video


@pytest.fixture
def tool(monkeypatch, tmp_path):
    """The program; what it would start is noted in ``calls``."""
    monkeypatch.chdir(tmp_path)
    demo = runpy.run_path(str(ROOT / 'tools/demo.py'))['demo']
    calls = []

    def run(name, *args):
        calls.append((name, *map(str, args)))
        if name == 'train':
            folder = Path(args[args.index('--work-dir') + 1])
            log = folder / 'a/vis_data/scalars.json'
            log.parent.mkdir(parents=True)
            log.write_text('\n'.join(
                json.dumps(dict(step=step, loss=loss))
                for step, loss in zip((10, 20, 30, 40), demo.losses)))
            (folder / 'last_checkpoint').write_text('iter_40.pth')

    demo.__globals__['run'] = run
    demo.calls, demo.losses = calls, (9., 8., 7., 3.)
    return demo


def test_a_folder_of_videos(tool, tmp_path, capsys):
    """Was "Is a directory"."""
    (tmp_path / 'walks').mkdir()
    for name in ('b.mp4', 'a.mp4'):
        write_video(tmp_path / 'walks' / name, 100)
    tool('walks', None)
    names = [call[0] for call in tool.calls]
    assert names == ['train', 'publish', 'visualize']
    train, publish, visualize = tool.calls
    # 200 frames in about 84 clips
    assert train[-1] == 'train_dataloader.dataset.start_stride=2'
    assert publish[1] == 'work_dirs/demo/walks/iter_40.pth'
    assert visualize[1] == 'walks/a.mp4'
    # (9 + 8 + 7) / 3 and (8 + 7 + 3) / 3
    assert 'loss      8.00 -> 6.00' in capsys.readouterr().out


def test_a_loss_that_rises_is_an_error(tool, tmp_path):
    write_video(tmp_path / 'a.mp4', 10)
    tool.losses = (1., 2., 3., 4.)
    with pytest.raises(RuntimeError, match='went from 2.00 to 3.00: remove'):
        tool('a.mp4', None)


def test_a_missing_video_is_a_sentence(run_tool, tmp_path):
    """Was a traceback of FileNotFoundError."""
    done = run_tool('demo.py', tmp_path / 'no.mp4')
    assert done.returncode == 1 and done.stdout == ''
    assert done.stderr.startswith('error: ') and done.stderr.count('\n') == 1
    assert 'no.mp4' in done.stderr
