#!/usr/bin/env bash
# Builds wheel and sdist of the last commit twice, in two folders, and fails where a byte differs:
#   scripts/reproducible.sh [FOLDER to put them in]
# What builds them has the versions of requirements/demo.txt, as a wheel names its builder. `make dist` calls it.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/dist/bin/python}
commit=$(git rev-parse HEAD) # once: others may commit meanwhile
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
SETUPTOOLS_SCM_PRETEND_VERSION=$("$python" -m hatchling version | sed -E 's/[.+]d[0-9]{8}$//') # changes at hand are not built
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
PIP_CONSTRAINT=$folder/constraints.txt
git show "$commit:requirements/demo.txt" | sed -n 's/^\([^# ]*==[^ ]*\).*/\1/p' >"$PIP_CONSTRAINT"
export SOURCE_DATE_EPOCH SETUPTOOLS_SCM_PRETEND_VERSION PIP_CONSTRAINT
for number in 1 2; do
  mkdir "$folder/$number"
  git archive "$commit" | tar x -C "$folder/$number"
  (umask "0$((number * 11))" && "$python" -m build -q --outdir "$folder/dist-$number" "$folder/$number")
done
diff -r "$folder/dist-1" "$folder/dist-2"
(cd "$folder/dist-1" && sha256sum -- *)
[ $# = 0 ] || install -D -m 644 -t "$1" "$folder"/dist-1/*
