#!/usr/bin/env bash
# Build the documentation as pages to read in a browser.
#   bash tools/build_docs.sh [OUT]      OUT defaults to work_dirs/docs
# A warning is an error: a link to a page, heading or name that is not there
# among them. Links to other sites are not followed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:-$root/work_dirs/docs}
python=$(DORA_MM_DOCS=1 bash "$root/tools/setup_env.sh")
# -E reads all pages: what was read before would not warn again.
"$python" -I -W ignore -m sphinx -E -W --keep-going -q -b html \
    "$root/docs" "$out"
echo "$out/index.html"
