#!/usr/bin/env bash
# Runs the demonstration in a new environment of exactly the files that requirements/ names by version and hash.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv/locked}
python=${PYTHON:-python3}
"$python" -c 'import platform as p, sys; sys.exit(
  (sys.version_info[:2], p.system(), p.machine()) != ((3, 11), "Linux", "x86_64"))' || {
  echo "The locked set is for Python 3.11 on Linux x86_64. Take 'make demo', or make PYTHON=/path/to/python3.11." >&2
  exit 1
}
"$python" -m venv --clear "$venv"
install=("$venv/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps)
"${install[@]}" --require-hashes --only-binary :all: -r requirements/demo.txt
"${install[@]}" --require-hashes --only-binary :all: -r requirements/torch-cpu.txt || {
  echo "torch has not been installed: requirements/torch-cpu.txt says where it is." >&2
  exit 1
}
"${install[@]}" --no-build-isolation .
"$venv/bin/python" -m pip check
"$venv/bin/dre-slcl" demo
