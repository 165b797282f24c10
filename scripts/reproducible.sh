#!/usr/bin/env bash
# Builds wheel and sdist of the last commit twice, in two folders, and fails where a byte differs.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
commit=$(git rev-parse HEAD) # once: others may commit meanwhile
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
SETUPTOOLS_SCM_PRETEND_VERSION=$("$python" -c 'import napari_dre_slcl as us; print(us.__version__)')
export SOURCE_DATE_EPOCH SETUPTOOLS_SCM_PRETEND_VERSION
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for number in 1 2; do
  mkdir "$folder/$number"
  git archive "$commit" | tar x -C "$folder/$number"
  (umask "0$((number * 11))" && "$python" -m build -q --outdir "$folder/dist-$number" "$folder/$number")
done
diff -r "$folder/dist-1" "$folder/dist-2"
sha256sum "$folder"/dist-1/*
