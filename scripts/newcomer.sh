#!/usr/bin/env bash
# The way of somebody new, timed: a home of their own, nothing in any cache, only what we say in the documentation.
#   scripts/newcomer.sh clone FOLDER          from `git clone` to a predicted slide on the screen
#   scripts/newcomer.sh wheel FOLDER WHEEL    from `pip install` of a built wheel to the sample result in napari
# FOLDER must be new: it gets home, checkout or environment, log.txt, minutes.txt and window.png.
# FIRST="torch==… torchvision==…" is installed before, for who wants another build of torch than the index gives.
# Where packages come from is this machine's affair: variables of pip's index and of proxies and certificates stay.
set -euo pipefail
way=${1:?clone or wheel} folder=$(realpath -m "${2:?give a new folder}") wheel=$(realpath "${3:-.}")
here=$(cd "$(dirname "$0")/.." && pwd)
python=$(${PYTHON:-python3} -c 'import sys; print(sys.executable)')
mkdir "$folder" "$folder/home" "$folder/tmp"
stays=$(env | grep -E '^(PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|CERT)|SSL_CERT_(FILE|DIR)|[A-Za-z]+_(proxy|PROXY))=' || true)
mapfile -t kept <<<"$stays"
begun=$(date +%s)

as_newcomer() { # in FOLDER, with nothing of this user but the system's programs
  (cd "$folder" && env -i HOME="$folder/home" TMPDIR="$folder/tmp" LANG=C.UTF-8 PIP_NO_CACHE_DIR=1 \
    PATH="$(dirname "$python"):/usr/local/bin:/usr/bin:/bin" ${stays:+"${kept[@]}"} "$@") >>"$folder/log.txt" 2>&1
}

step() { # step "what it is" COMMAND...
  local what=$1 start
  start=$(date +%s)
  shift
  as_newcomer "$@" || { echo "Failed: $what. See $folder/log.txt"; tail -5 "$folder/log.txt"; exit 1; }
  awk -v s=$(($(date +%s) - start)) -v what="$what" 'BEGIN { printf "%6.1f min  %s\n", s / 60, what }' |
    tee -a "$folder/minutes.txt"
}

from_clone() {
  step "git clone" git clone --quiet "$here" checkout
  step "make demo: set-up, training, prediction, window" make -C checkout PYTHON="$python" demo
  cp "$folder/checkout/demo_out/window.png" "$folder/window.png"
}

from_wheel() {
  step "python -m venv" "$python" -m venv .venv
  # shellcheck disable=SC2086 # several packages
  [ -z "${FIRST:-}" ] || step "pip install $FIRST" .venv/bin/pip install $FIRST
  step "pip install '$(basename "$wheel")[all]'" .venv/bin/pip install "$wheel[all]"
  step "npe2 list names the plugin" bash -c '.venv/bin/npe2 list | tee /dev/stderr | grep -q napari-dre-slcl'
  step "dre-slcl doctor finds no problem" .venv/bin/dre-slcl doctor
  step "the sample result in napari" xvfb-run -a -s "-screen 0 1600x1000x24" env QT_QPA_PLATFORM=xcb \
    .venv/bin/python "$here/scripts/sample_window.py" window.png
}

if [ "$way" = clone ]; then from_clone; else from_wheel; fi
awk -v s=$(($(date +%s) - begun)) 'BEGIN { printf "%6.1f min  altogether\n", s / 60 }' | tee -a "$folder/minutes.txt"
test -s "$folder/window.png"
echo "Picture: $folder/window.png. Log: $folder/log.txt. Disk: $(du -sm "$folder" | cut -f1) MB"
