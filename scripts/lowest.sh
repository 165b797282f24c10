#!/usr/bin/env bash
# Installs the lowest version of each dependency that pyproject.toml allows into a new folder, and runs tests there:
#   scripts/lowest.sh FOLDER [TEST]...
# Needs uv, and about 8 GB: the registry's torch of that age is the one for CUDA; it computes on processors too.
set -euo pipefail
folder=$(realpath -m "${1:?give a folder for the environment}")
shift
cd "$(dirname "$0")/.."
uv pip compile -q --python-version 3.11 --resolution lowest-direct --extra all --extra test --extra cluster \
  --extra search --extra umap pyproject.toml -o "$folder.txt"
uv venv -q --python 3.11 "$folder"
uv pip install -q -p "$folder" -r "$folder.txt"
uv pip install -q -p "$folder" --no-deps -e .
OMP_NUM_THREADS=1 "$folder/bin/python" -m pytest -q -p no:cacheprovider "${@:-tests}"
