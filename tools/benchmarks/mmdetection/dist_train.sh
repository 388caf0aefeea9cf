#!/usr/bin/env bash
# bash tools/benchmarks/mmdetection/dist_train.sh CONFIG CHECKPOINT GPUS [options]
# All about it is in launch.sh.
exec bash "$(dirname "${BASH_SOURCE[0]}")/../launch.sh" mmdetection dist "$@"
