#!/usr/bin/env bash
# Set everything up and run the tests.
#   bash tools/run_tests.sh             all tests, line coverage at least 90 %
#   bash tools/run_tests.sh ARGS...     pytest with these arguments instead
# DORA_MM_PYTHON names an interpreter with dora_mm installed to use instead of
# the environment that setup_env.sh makes.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${DORA_MM_PYTHON:-$(bash "$root/tools/setup_env.sh")}
if [[ $# -eq 0 ]]; then
    # In order, so that what a file's tests share is mostly made once.
    set -- tests -n auto --maxprocesses 8 --dist worksteal --durations 10 \
        --cov --cov-config "$root/setup.cfg" --cov-fail-under 90 --cov-report \
        term-missing:skip-covered
fi
cd "$root"
# Torch's threads only fight each other on the tests' small tensors.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# -I keeps the current folder off the path: the installed dora_mm is tested.
exec "$python" -I -m pytest "$@"
