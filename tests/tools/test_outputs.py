"""A place that cannot be written to is refused, before the work."""
import os
import re
import runpy
import sys

import pytest
import torch
from clean_python import ROOT
from video_factory import write_video

DEMO = 'dora/vit-t16_demo'
VIDEO = 'train_dataloader.dataset.video=v.mp4'
TOOLS = dict(
    visualize=('visualize_tracks.py', ['v.mp4', DEMO], '--out-dir'),
    features=('visualize_features.py', ['v.mp4', DEMO], '--out-dir'),
    embed=('embed.py', ['v.mp4', DEMO], '--out-dir'),
    audit=('audit.py', ['v.mp4'], '--out-dir'),
    demo=('demo.py', ['v.mp4'], '--out-dir'),
    prepare=('prepare_video.py', ['v.mp4'], '--out-dir'),
    stats=('analysis_tools/video_stats.py', ['v.mp4'], '--out-dir'),
    browse=('analysis_tools/browse_dataset.py',
            [DEMO, '--cfg-options', VIDEO], '--out-dir'),
    train=('train.py', [DEMO, '--cfg-options', VIDEO], '--work-dir'),
    test=('test.py', ['evaluation/knn_cifar10-mini',
                      'colour'], '--work-dir'),
    ablate=('ablate.py', [f'a={DEMO}', f'b={DEMO}', '--data',
                          '.'], '--out-dir'),
    evaluate=('evaluate_all.py', ['colour', '--data', '.'], '--out-dir'),
    health=('analysis_tools/health.py', ['v.mp4', DEMO], '--out'),
    losses=('analysis_tools/plot_losses.py', ['run'], '--out'),
    publish=('publish_backbone.py', ['a.pth'], 'OUT'),
    convert=('convert_checkpoint.py', ['--to', 'timm', 'a.pth'], 'DST'),
    make=('make_demo_video.py', [], 'path'))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('outputs')
    write_video(folder / 'v.mp4', 20)
    torch.save({}, folder / 'a.pth')
    (folder / 'file').write_text('kept')
    (folder / 'cifar10_mini.tar').touch()
    return folder


@pytest.mark.skipif(not os.path.isdir('/proc'), reason='no /proc')
@pytest.mark.parametrize('place', ['file/x', '/proc/x'])
@pytest.mark.parametrize('name', TOOLS)
def test_a_place_that_cannot_be_written_is_named(name, place, folder, capsys,
                                                 monkeypatch):
    """Once FileExistsError, PermissionError, or an hour later."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, 'argv', [name])
    tool, args, option = TOOLS[name]
    place = place if option.endswith('dir') else f'{place}/x.pth'
    before = sorted(folder.iterdir())
    main = runpy.run_path(str(ROOT / 'tools' / tool))['main']
    words = [option, place] if option.startswith('--') else [place]
    try:
        main(words + args if option.startswith('--') else args + words)
        message = capsys.readouterr().err
    except ValueError as error:
        message = str(error)
    wanted = '(in )?a folder' if place[0] == 'f' else 'a place that can .*'
    assert re.search(f'{option} must be {wanted}, but got {place} ', message)
    assert sorted(folder.iterdir()) == before


def test_a_folder_is_no_file(folder, tmp_path):
    main = runpy.run_path(str(ROOT / 'tools/publish_backbone.py'))['main']
    with pytest.raises(ValueError, match='OUT must be a file, but got .*add'):
        main([str(folder / 'a.pth'), str(tmp_path)])
