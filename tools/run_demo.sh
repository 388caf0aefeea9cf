#!/usr/bin/env bash
# Set everything up and pretrain a tiny DoRA on the CPU, in minutes.
#   bash tools/run_demo.sh              on a video that it generates
#   VIDEO=walk.mp4 bash tools/run_demo.sh
# OUT is the folder for the results, default work_dirs/demo/<name of the
# video>. An interrupted demo continues; remove the folder to train anew.
# DORA_MM_PYTHON names an interpreter with dora_mm installed to use instead of
# the environment that setup_env.sh makes.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${DORA_MM_PYTHON:-$(bash "$root/tools/setup_env.sh")}
video=${VIDEO:-$root/work_dirs/demo/generated.mp4}
name=$(basename "$video")
out=${OUT:-$root/work_dirs/demo/${name%.*}}
started=$SECONDS
step() { echo "== $* ($((SECONDS - started)) s)"; }

if [[ -z ${VIDEO:-} && ! -e $video ]]; then
    step "make $video"
    "$python" "$root/tools/make_demo_video.py" "$video"
fi

step "pretrain on $video"
# About 80 clips an epoch, however long the video is.
stride=$("$python" - "$video" <<'PY'
import sys

from dora_mm.video.readers.probe_video import probe_video

print(max(probe_video(sys.argv[1]).num_frames // 84, 1))
PY
)
"$python" "$root/tools/train.py" "$root/configs/dora/vit-t16_demo.py" \
    --work-dir "$out" --resume --cfg-options \
    "train_dataloader.dataset.video=$video" \
    "train_dataloader.dataset.start_stride=$stride"

step 'publish the backbone'
checkpoint=$out/$(cat "$out/last_checkpoint")
rm -f "$out"/backbone_*.pth
"$python" "$root/tools/publish_backbone.py" "$checkpoint" "$out/backbone.pth"

step 'draw the tracked objects'
"$python" "$root/tools/visualize_tracks.py" "$video" "$checkpoint" \
    --out-dir "$out/tracks" --num-clips 4

step 'compare the loss at the beginning and at the end'
"$python" - "$out" <<'PY'
import json
import sys
from pathlib import Path

out = Path(sys.argv[1])
losses = {}
for path in sorted(out.glob('*/vis_data/scalars.json')):
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        if 'loss' in entry:
            losses[entry['step']] = entry['loss']
values = [losses[step] for step in sorted(losses)]  # means of 10 iterations
first, last = sum(values[:3]) / 3, sum(values[-3:]) / 3
print(f'loss      {first:.2f} -> {last:.2f} (means of the first and last 30 of '
      f'{max(losses)} iterations)')
for name, pattern in (('checkpoint', 'iter_*.pth'), ('backbone',
                                                     'backbone_*.pth'),
                      ('pictures', 'tracks/*_overview.png'),
                      ('video', 'tracks/*.mp4')):
    for path in sorted(out.glob(pattern)):
        print(f'{name:10}{path}')
if last >= first:
    sys.exit('The loss has not fallen.')
PY
step 'done'
