#!/usr/bin/env bash
# Measure on one GPU, in at most nine minutes: the CUDA tests, the step and
# the released way's, training end to end with its views, label propagation,
# the loader.
#   bash benchmarks/gpu.sh OUT
#   TINY=1 bash benchmarks/gpu.sh OUT    on a CPU: tiny sizes, more patience
# PYTHON names an interpreter that imports torch and what dora_mm needs. Every
# piece has its own time, and a log and a JSON file in OUT; one that fails
# costs no other.
set -uo pipefail

out=${1:?give a folder for the results}
python=${PYTHON:-python}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$out" && out=$(cd "$out" && pwd)
cd "$root" || exit
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}

device=(--device cuda)
batches=(32 64 128) search=(64 32) frames=24 workers=14 read=1500
step=(--dtype bf16) total=530 slower=1
# Drawing takes long, so few frames are drawn, and repeated.
video=(--size 854 480 --seconds 5 --fps 30 --gop 30 --loop-minutes 0.5)
# Wherever the repeated part begins, there is a cut.
train=(train_dataloader.dataset.video="$out/store/walk_0.5min.mp4"
    train_dataloader.dataset.across_cuts=True)
if [[ -z ${TINY:-} ]]; then
    seconds=6
    train+=(train_dataloader.batch_size=32 train_dataloader.num_workers=14
        train_dataloader.dataset.frame_stride=24
        train_dataloader.sampler.num_samples=512)
else
    device=(--device cpu)
    batches=(1) search=(1) frames=2 workers=1 read=12
    step=(--arch deit-tiny --frames 2 --logits 64 --local-views 2 --repeats 1)
    video=(--size 160 96 --seconds 5 --fps 10 --loop-minutes 0.2)
    seconds=1 total=3600 slower=10
    train=("${train[@]/0.5min/0.2min}"
        train_dataloader.batch_size=2 train_dataloader.num_workers=1
        train_dataloader.dataset.clip_len=2
        train_dataloader.dataset.frame_stride=5 model.backbone.arch=deit-tiny
        model.neck.out_channels=64)
fi

piece() { # name, seconds, command
    local name=$1 limit=$(($2 * slower)) left=$((total - SECONDS))
    local start=$SECONDS
    shift 2
    ((left < limit)) && limit=$left
    ((limit > 5)) || { echo "$name: no time left"; return; }
    timeout "$limit" "$@" >"$out/$name.log" 2>&1
    local status=$?
    echo "$name: exit $status, $((SECONDS - start)) s"
}

# No time is taken meanwhile.
{
    piece video 60 "$python" benchmarks/make_test_video.py "$out/walk.mp4" \
        "${video[@]}"
    piece prepare 100 "$python" tools/prepare_video.py "$out"/walk_*min.mp4 \
        --out-dir "$out/store"
    piece frames 30 "$python" -c '
import sys
from pathlib import Path

import cv2

out, number = Path(sys.argv[1]), int(sys.argv[2])
(out / "frames").mkdir(exist_ok=True)
video = cv2.VideoCapture(str(out / "walk.mp4"))
for i in range(number):
    _, frame = video.read()
    cv2.imwrite(str(out / "frames" / f"{i:05}.jpg"), frame)
height, width = frame.shape[:2]
frame[:] = 0
frame[height // 3:height // 2, width // 3:width // 2] = 255
cv2.imwrite(str(out / "mask.png"), frame[..., 0])
' "$out" "$frames"
} &
piece tests 100 "$python" -m pytest -q -k 'cuda or launches' tests/models \
    tests/datasets/transforms
wait

# The first use of PyTorch and of its compiler takes a minute.
profile=(--profile)
[[ -n ${TINY:-} ]] && profile=()
released=dora/vit-s16_wt_released.py
piece step_vit-s16_wt_released 130 "$python" benchmarks/step.py \
    "${device[@]}" "${step[@]}" --config "$released" --ways ours \
    --batches "${batches[0]}" "${profile[@]}" \
    --out "$out/step_vit-s16_wt_released.json"
piece end_to_end 150 "$python" benchmarks/end_to_end.py \
    "configs/$released" --seconds "$seconds" --warmup 2 \
    --out "$out/end_to_end.json" --cfg-options "${train[@]}"
piece step_released_way 80 "$python" benchmarks/step.py "${device[@]}" \
    "${step[@]}" --ways released --batches "${search[@]}" --repeats 1 \
    --out "$out/step_released_way.json"
piece davis 40 "$python" benchmarks/davis_speed.py "$out/frames" \
    "$out/mask.png" "${device[@]}" --number "$frames" --repeats 1 \
    --out "$out/davis.json"
piece loader 60 "$python" benchmarks/loader_scaling.py "$out"/store/*.mp4 \
    --workers "$workers" --clips "$read" --repeats 1
piece step_vit-s16_wt 70 "$python" benchmarks/step.py "${device[@]}" \
    "${step[@]}" --config dora/vit-s16_wt.py --ways ours \
    --batches "${batches[0]}" --out "$out/step_vit-s16_wt.json"
for batch in "${batches[@]:1}"; do
    for config in "$released" dora/vit-s16_wt.py; do
        name=step_$(basename "$config" .py)_$batch
        piece "$name" 50 "$python" benchmarks/step.py "${device[@]}" \
            "${step[@]}" --config "$config" --ways ours --batches "$batch" \
            --out "$out/$name.json"
    done
done

tail -n +1 "$out"/loader.log
"$python" - "$out" <<'PY'
"""One table of all steps that were measured, and one file of all numbers."""
import json
import sys
from pathlib import Path

out = Path(sys.argv[1])
found = {
    path.stem: json.loads(path.read_text())
    for path in sorted(out.glob('*.json')) if path.stem != 'all'
}
(out / 'all.json').write_text(json.dumps(found, indent=2))
print('| what | clips | ms a step | clips/s | MFU | GiB | tracker ms |')
print('|---|---:|---:|---:|---:|---:|---:|')
for name, numbers in found.items():
    if not name.startswith('step'):
        continue
    for way, row in numbers['rows'].items():
        print(f'| {name[5:]}, {way} | {row["batch"]} '
              f'| {1e3 * row["seconds"]:.1f} | {row["clips_per_sec"]:.1f} '
              f'| {row["utilisation"]:.1%} '
              f'| {row["memory"]["peak"] / 2**30:.1f} '
              f'| {1e3 * row["stages"]["tracker"]["seconds"]:.1f} |')
for name, numbers in found.items():
    if not name.startswith('step'):
        for cost in (numbers.get('costs') or {}).values():
            del cost['kernels']  # in the JSON file
        print(f'\n{name}: {json.dumps(numbers)}')
PY
