#!/usr/bin/env bash
# Set everything up and pretrain a tiny DoRA on the CPU, in minutes.
#   bash tools/run_demo.sh              on a video that it generates
#   VIDEO=walk.mp4 bash tools/run_demo.sh
# VIDEO may be a folder. OUT is the folder for the results, default
# work_dirs/demo/<name of the video>. An interrupted demo continues; remove the
# folder to train anew.
# DORA_MM_PYTHON names an interpreter with dora_mm installed to use instead of
# the environment that setup_env.sh makes.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${DORA_MM_PYTHON:-$(bash "$root/tools/setup_env.sh")}
args=()
[[ -z ${VIDEO:-} ]] || args+=("$(realpath -m -- "$VIDEO")")
[[ -z ${OUT:-} ]] || args+=(--out-dir "$(realpath -m -- "$OUT")")
cd "$root"
exec "$python" -m dora_mm demo "${args[@]}"
