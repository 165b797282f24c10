#!/usr/bin/env bash
# The system libraries that Qt, OpenGL and a virtual screen need on Linux.
# Root on a machine with apt: installs what is missing. Everybody else: prints the one line to run.
set -euo pipefail

[ "$(uname -s)" = Linux ] || exit 0

# "what proves it is there" -> Debian and Ubuntu package
needs="
lib:libxcb-icccm.so.4=libxcb-icccm4
lib:libxcb-keysyms.so.1=libxcb-keysyms1
lib:libxcb-cursor.so.0=libxcb-cursor0
lib:libxcb-image.so.0=libxcb-image0
lib:libxcb-render-util.so.0=libxcb-render-util0
lib:libxcb-xkb.so.1=libxcb-xkb1
lib:libxcb-shape.so.0=libxcb-shape0
lib:libxcb-randr.so.0=libxcb-randr0
lib:libxkbcommon.so.0=libxkbcommon0
lib:libxkbcommon-x11.so.0=libxkbcommon-x11-0
lib:libEGL.so.1=libegl1
lib:libGL.so.1=libgl1
lib:libGLX_mesa.so.0=libglx-mesa0
lib:libOpenGL.so.0=libopengl0
lib:libdbus-1.so.3=libdbus-1-3
lib:libfontconfig.so.1=libfontconfig1
lib:libglib-2.0.so.0=libglib2.0-0
program:Xvfb=xvfb
program:xvfb-run=xvfb
program:xauth=xauth
font:ttf=fonts-dejavu-core
"

known_libraries=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null || true)

is_present() {
  case "$1" in
    lib:*) grep -qF "${1#lib:} " <<<"$known_libraries" ;;
    program:*) command -v "${1#program:}" >/dev/null ;;
    font:*) [ -n "$(find /usr/share/fonts /usr/local/share/fonts -name '*.ttf' -print -quit 2>/dev/null)" ] ;;
  esac
}

missing=""
for need in $needs; do
  is_present "${need%%=*}" || missing="$missing ${need#*=}"
done
missing=$(tr ' ' '\n' <<<"$missing" | sort -u | xargs)
[ -n "$missing" ] || exit 0

install="apt-get update && apt-get install -y --no-install-recommends $missing libgl1-mesa-dri"
if ! command -v apt-get >/dev/null; then
  echo "These system libraries are missing (Debian's names): $missing. Install your system's packages of them." >&2
elif [ "$(id -u)" -ne 0 ]; then
  echo "System libraries are missing for the napari window. Run this line once, then go on:" >&2
  echo "  sudo sh -c '$install'" >&2
else
  echo "Installing missing system libraries: $missing"
  DEBIAN_FRONTEND=noninteractive sh -c "$install"
fi
