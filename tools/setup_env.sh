#!/usr/bin/env bash
# Make, or find again, an environment to run dora_mm in.
#   bash tools/setup_env.sh
#       this checkout, editable
#   bash tools/setup_env.sh --wheel FILE DIR
#       the wheel FILE, in a new environment in DIR
# The last line on stdout is the path of the environment's python; progress
# goes to stderr. The dependencies (gigabytes) lie in one cached environment
# that all checkouts with the same requirements share; a checkout's own, small
# environment is a layer over it.
#   DORA_MM_CACHE  where to keep them, default ~/.cache/dora_mm
#   DORA_MM_DET    1 adds mmdetection and an mmcv with compiled ops. The latter
#                  is compiled here (with CUDA where torch finds a GPU) and the
#                  wheel kept: this needs a C++ compiler, and time once
#   DORA_MM_DOCS   1 adds what builds the documentation
#   DORA_MM_OFFICIAL  1 takes the official packages and the oldest torch in
#                  place of OneDL's (neither DORA_MM_DET nor DORA_MM_DOCS)
#   PYTHON         the interpreter to start from, default the first of python3,
#                  python3.12, 3.11, 3.10 that is 3.10 to 3.12
# pip's own settings hold: on a machine without a GPU,
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu saves most of the
# download.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${DORA_MM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dora_mm}
constraints=$root/requirements/constraints.txt
base_extras=(onedl seg eval test)
if [[ ${DORA_MM_OFFICIAL:-0} == 1 ]]; then
    constraints=$root/requirements/official_constraints.txt
    base_extras=(openmmlab test)
fi
# Apart, so that another version of Sphinx costs no new download of torch.
docs_constraints=$root/requirements/docs_constraints.txt

say() { echo "setup_env: $*" >&2; }
die() { say "$*"; exit 1; }

version_fits() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' \
        2>/dev/null
}

# Past pyenv's shims, which take a fifth of a second each time.
executable() { "$1" -c 'import sys; print(sys.executable)'; }

find_python() {
    local candidate
    if [[ -n ${PYTHON:-} ]]; then
        version_fits "$PYTHON" || die "PYTHON=$PYTHON is not Python 3.10-3.12"
        executable "$PYTHON"
        return
    fi
    for candidate in python3 python3.12 python3.11 python3.10; do
        if version_fits "$candidate"; then
            executable "$candidate"
            return
        fi
    done
    die 'no Python 3.10-3.12 found; install one or set PYTHON'
}

# What to install, one requirement a line: other edits of setup.cfg must not
# cost a new download.
requirements() {  # PYTHON EXTRA...
    "$1" - "$root/setup.cfg" "${@:2}" <<'PY'
import configparser
import sys

config = configparser.ConfigParser()
config.read(sys.argv[1])
extras = config['options.extras_require']
print('\n'.join([config['options']['install_requires'].strip()] +
                [extras[name].strip() for name in sys.argv[2:]]))
PY
}

hash_stdin() {
    "$1" -c 'import hashlib, sys
print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])'
}

# One at a time; the lock goes with the process, so a kill leaves none behind.
lock() {
    mkdir -p "$cache"
    exec 9>"$1"
    if ! command -v flock >/dev/null; then
        say 'no flock program: do not run this twice at a time'
    elif ! flock -n 9; then
        say 'waiting for another setup_env'
        flock 9
    fi
}

make_venv() {  # PYTHON DIR [options]
    "$1" -m venv "${@:3}" "$2" >&2 ||
        die "$1 cannot make environments; on Debian: apt install python3-venv"
}

# Only an environment with the mark is complete; what an interrupted run left
# is removed.
build_deps() {  # PYTHON DIR
    say "installing the dependencies into $2 (minutes, once)"
    rm -rf "$2"
    make_venv "$1" "$2"
    requirements "$1" "${base_extras[@]}" >"$2/requirements.txt"
    "$2/bin/python" -m pip install --progress-bar off \
        -r "$2/requirements.txt" -c "$constraints" >&2
    # OpenCV's default build needs libGL, which servers often lack.
    if ! "$2/bin/python" -c 'import cv2' 2>/dev/null; then
        say 'OpenCV does not load; taking its headless build'
        "$2/bin/python" -m pip uninstall -y opencv-python >&2
        "$2/bin/python" -m pip install --no-deps -c "$constraints" \
            opencv-python-headless >&2
    fi
    touch "$2/.complete"
}

site_of() {  # DIR
    "$1/bin/python" -c \
        'import sysconfig; print(sysconfig.get_path("purelib"))'
}

# A layer sees what lies below through a .pth file and holds only its own.
make_layer() {  # DIR BELOW...
    local below
    rm -rf "$1"
    make_venv "${*: -1}/bin/python" "$1" --without-pip
    for below in "${@:2}"; do
        site_of "$below"
    done >"$(site_of "$1")/dora_mm_deps.pth"
}

# What pip makes of mmcv's sources by itself has no ops: its build does not
# see torch. The wheel with ops depends on all that is in the name printed.
ops_wheel_name() {  # PYTHON
    "$1" - <<'PY'
import platform
import sys
from importlib.metadata import version

import torch

print(f'mmcv{version("onedl-mmcv")}-torch{torch.__version__}-cp'
      f'{sys.version_info[0]}{sys.version_info[1]}-{platform.machine()}-'
      f'{"cuda" if torch.cuda.is_available() else "cpu"}')
PY
}

build_ops_wheel() {  # PYTHON DIR
    local work
    say "compiling the ops of mmcv into $2 (once, a quarter to half an hour)"
    command -v "${CXX:-c++}" >/dev/null ||
        die 'no C++ compiler; on Debian: apt install g++'
    mkdir -p "$cache/wheels"
    work=$(mktemp -d "$cache/wheels/.build.XXXXXX")
    # Without ninja the files are compiled one after the other.
    "$1" -m pip install --quiet --target "$work/ninja" -c "$constraints" \
        ninja >&2
    PATH=$work/ninja/bin:$PATH MAX_JOBS=${MAX_JOBS:-$(nproc)} \
        CXXFLAGS=${CXXFLAGS:--O2 -DNDEBUG} \
        "$1" -m pip wheel --no-deps --no-build-isolation --no-cache-dir \
        --no-binary onedl-mmcv -c "$constraints" -w "$work/wheel" -v \
        onedl-mmcv >"$2.log" 2>&1 || {
        tail -n 40 "$2.log" >&2
        die "mmcv does not compile, see $2.log"
    }
    rm -rf "$2"
    mv "$work/wheel" "$2"
    rm -rf "$work"
}

# mmdetection and the mmcv that it needs, over the dependencies.
build_det() {  # DEPS DIR
    local wheels
    wheels=$cache/wheels/$(ops_wheel_name "$1/bin/python")
    [[ -n $(compgen -G "$wheels/*.whl") ]] ||
        build_ops_wheel "$1/bin/python" "$wheels"
    say "installing mmdetection into $2"
    make_layer "$2" "$1"
    requirements "$1/bin/python" det >"$2/requirements.txt"
    "$2/bin/python" -m pip install --quiet --no-deps --force-reinstall \
        "$wheels"/*.whl >&2
    "$2/bin/python" -m pip install --progress-bar off \
        -r "$2/requirements.txt" -c "$constraints" >&2
    "$2/bin/python" -c 'import mmcv.ops' ||
        die "the compiled mmcv in $wheels does not load; remove it"
    touch "$2/.complete"
}

build_docs() {  # DIR BELOW...
    say "installing what builds the documentation into $1"
    make_layer "$@"
    requirements "$1/bin/python" docs >"$1/requirements.txt"
    "$1/bin/python" -m pip install --quiet -r "$1/requirements.txt" \
        -c "$constraints" -c "$docs_constraints" >&2
    touch "$1/.complete"
}

# Holds only dora_mm.
build_layer() {  # DIR BELOW... -- REQUIREMENT...
    local dir=$1 below=()
    shift
    while [[ $1 != -- ]]; do
        below+=("$1")
        shift
    done
    make_layer "$dir" "${below[@]}"
    "$dir/bin/python" -m pip install --quiet --no-deps --no-build-isolation \
        --no-index "${@:2}" >&2
    touch "$dir/.complete"
}

main() {
    local python deps det docs layer below
    python=$(find_python)
    deps=$cache/deps-$({
        requirements "$python" "${base_extras[@]}"
        grep -v '^#' "$constraints"
        "$python" -c 'import sys; print(sys.version, sys.base_prefix)'
    } | hash_stdin "$python")
    lock "$deps.lock"
    [[ -e $deps/.complete ]] || build_deps "$python" "$deps"
    below=("$deps")
    if [[ ${DORA_MM_DET:-0} == 1 ]]; then
        det=$cache/det-$({
            echo "$deps"
            requirements "$python" det
        } | hash_stdin "$python")
        lock "$det.lock"
        [[ -e $det/.complete ]] || build_det "$deps" "$det"
        below=("$det" "$deps")
    fi
    if [[ ${DORA_MM_DOCS:-0} == 1 ]]; then
        docs=$cache/docs-$({
            echo "${below[*]}"
            requirements "$python" docs
            grep -v '^#' "$docs_constraints"
        } | hash_stdin "$python")
        lock "$docs.lock"
        [[ -e $docs/.complete ]] || build_docs "$docs" "${below[@]}"
        below=("$docs" "${below[@]}")
    fi
    if [[ ${1:-} == --wheel ]]; then
        layer=$3
        build_layer "$layer" "${below[@]}" -- "$2"
    else
        layer=$cache/venv-$({
            echo "${below[*]} $root"
            cat "$root"/{setup.cfg,setup.py,pyproject.toml}
        } | hash_stdin "$python")
        # The links in .mim are part of an editable install, but lie in the
        # checkout, where git clean may have removed them.
        if [[ ! -e $layer/.complete || ! -e $root/dora_mm/.mim ]]; then
            say "installing the checkout into $layer"
            build_layer "$layer" "${below[@]}" -- -e "$root"
        fi
    fi
    echo "$layer/bin/python"
}

if [[ $# -ne 0 && ! ($# -eq 3 && $1 == --wheel) ]]; then
    die "usage: bash $0 [--wheel FILE DIR]"
fi
main "$@"
