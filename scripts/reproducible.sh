#!/usr/bin/env bash
# Builds wheel and sdist of the last commit twice, in two folders, and fails where a byte differs:
#   scripts/reproducible.sh [FOLDER to put them in]
# What builds them has the versions of requirements/demo.txt, as a wheel names its builder. `make dist` calls it.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/dist/bin/python}
if commit=$(git rev-parse HEAD 2>/dev/null); then # once: others may commit meanwhile
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
  pack() { git archive "$commit"; }
else
  echo "There is no history here, so the files at hand are built." >&2
  SOURCE_DATE_EPOCH=315532800 # 1980, the first that a wheel can say
  pack() { tar c --exclude=./.venv --exclude=./dist --exclude=./.git .; }
fi
SETUPTOOLS_SCM_PRETEND_VERSION=$("$python" -m hatchling version | sed -E 's/[.+]d[0-9]{8}$//') # changes at hand are not built
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
PIP_CONSTRAINT=$folder/constraints.txt
pack | tar xO --wildcards '*requirements/demo.txt' | sed -n 's/^\([^# ]*==[^ ]*\).*/\1/p' >"$PIP_CONSTRAINT"
export SOURCE_DATE_EPOCH SETUPTOOLS_SCM_PRETEND_VERSION PIP_CONSTRAINT
for number in 1 2; do
  mkdir "$folder/$number"
  pack | tar x -C "$folder/$number"
  (umask "0$((number * 11))" && "$python" -m build -q --outdir "$folder/dist-$number" "$folder/$number")
done
diff -r "$folder/dist-1" "$folder/dist-2"
(cd "$folder/dist-1" && sha256sum -- *)
[ $# = 0 ] || install -D -m 644 -t "$1" "$folder"/dist-1/*
