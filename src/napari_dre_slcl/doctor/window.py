"""The napari window: a Qt binding, a display, OpenGL, and whether napari knows the plugin."""

from __future__ import annotations

import os
import platform
import re
import shutil
from importlib import metadata

from napari_dre_slcl.doctor.child import Answer, ask
from napari_dre_slcl.doctor.finding import Finding, ok, problem, warning

__all__ = ["check_plugin", "check_window", "judge_drawing"]

_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
_GOOD = _BINDINGS[:2]
_GET_QT = 'pip install "napari-dre-slcl[qt]"'
_VIRTUAL_SCREEN = ("xvfb-run", "-a", "-s", "-screen 0 1280x1024x24")
_SYSTEM_LIBRARIES = (
    "Install the system libraries that Qt needs; 'make system-libs' in a checkout, or see "
    "docs/getting-started/install.md."
)
_SLOW = ("llvmpipe", "softpipe", "swrast", "gdi generic")
_LEAST_TEXTURE_PX = 8192


def check_window() -> list[Finding]:
    """Look for a Qt binding, then draw with it in a process of its own."""
    installed = [name for name in _BINDINGS if _is_installed(name)]
    if not any(name in installed for name in _GOOD):
        says = "none is installed, so no window opens; the commands work without"
        return [warning("Qt", says, f"{_GET_QT}. On a cluster it is not needed.")]
    found = _binding_findings(installed)
    changes: dict[str, str] = {}
    screen: tuple[str, ...] = ()
    if not _has_display():
        if shutil.which(_VIRTUAL_SCREEN[0]) is None:
            says = "none, so no window opens here; the commands work without"
            mend = "Log in with a screen, or install xvfb for pictures without one."
            return [*found, warning("Display", says, mend)]
        screen, changes = _VIRTUAL_SCREEN, {"QT_QPA_PLATFORM": "xcb"}
        found.append(ok("Display", "none; a virtual screen (xvfb-run) is there for pictures"))
    answer = ask("napari_dre_slcl.gui.gl_probe", screen=screen, changes=changes)
    if answer.failure:
        changes["QT_DEBUG_PLUGINS"] = "1"  # says which library a plugin of Qt lacks
        again = ask("napari_dre_slcl.gui.gl_probe", screen=screen, changes=changes)
        return [*found, _no_drawing(again if again.failure else answer)]
    return [*found, *judge_drawing(answer.facts, is_virtual=bool(screen))]


def _binding_findings(installed: list[str]) -> list[Finding]:
    asked = os.environ.get("QT_API", "").lower()
    names = {name.lower() for name in installed}
    if asked and asked not in names:
        says = f"QT_API asks for {asked}, which is not installed; there is {', '.join(installed)}"
        return [problem("Qt", says, f"Unset QT_API, or: pip install {asked}")]
    if len(installed) > 1 and not asked:
        says = f"several bindings are installed: {', '.join(installed)}"
        return [warning("Qt", says, "Name the one to take: set QT_API, for example to pyqt6.")]
    return []


def judge_drawing(facts: dict[str, object], is_virtual: bool = False) -> list[Finding]:
    """Return what the facts of `gui.gl_probe` mean.

    Parameters
    ----------
    facts : dict
        As the probe prints them.
    is_virtual : bool
        Drawn on a virtual screen, where no graphics card can be expected.
    """
    found = [ok("Qt", f"{facts['binding']} {facts['binding_version']} with Qt {facts['qt']}")]
    renderer, size = str(facts["renderer"]), int(str(facts["texture_px"] or 0))
    if not renderer or not size:
        mend = f"Install or update the graphics driver. {_SYSTEM_LIBRARIES}"
        return [*found, problem("OpenGL", "gives no context, so napari cannot draw", mend)]
    says = f"{facts['version']} on {renderer}, pictures up to {size} px"
    if any(name in renderer.lower() for name in _SLOW) and not is_virtual:
        mend = "Install the driver of the graphics card; in a remote session use VirtualGL."
        return [*found, warning("OpenGL", f"{says}: drawn by the processor, so slowly", mend)]
    if size < _LEAST_TEXTURE_PX:
        mend = "Update the graphics driver; large maps are drawn coarser meanwhile."
        return [*found, warning("OpenGL", says, mend)]
    return [*found, ok("OpenGL", says)]


def _no_drawing(answer: Answer) -> Finding:
    lacking = sorted(set(re.findall(r"(lib[\w.+-]+\.so[.\d]*): cannot open", answer.told)))
    if lacking:
        says = f"cannot start: the system lacks {', '.join(lacking)}"
        return problem("Qt", says, _SYSTEM_LIBRARIES)
    if "undefined symbol" in answer.failure or "DLL load failed" in answer.failure:
        says = f"the binding and its Qt are of different versions: {answer.failure}"
        return problem("Qt", says, "pip install --upgrade --force-reinstall PyQt6 PyQt6-Qt6")
    return problem("Qt", f"no window can be made: {answer.failure}", _SYSTEM_LIBRARIES)


def check_plugin() -> list[Finding]:
    """Ask npe2, as napari does, for this plugin, and import all that its manifest names."""
    answer = ask("napari_dre_slcl.gui.plugin_probe")
    again = "pip install --force-reinstall --no-deps napari-dre-slcl"
    if answer.failure:
        return [problem("Plugin", f"napari cannot load it: {answer.failure}", again)]
    facts = answer.facts
    if not facts["is_found"]:
        return [problem("Plugin", "napari does not find it", again)]
    if facts["is_disabled"]:
        mend = "Turn it on in napari: Plugins > Install/Uninstall Plugins."
        return [problem("Plugin", "it is turned off in napari's settings", mend)]
    if facts["error"]:
        return [problem("Plugin", f"a part of it cannot be loaded: {facts['error']}", again)]
    return [ok("Plugin", f"napari {facts['napari']} finds it, with {facts['commands']} commands")]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _has_display() -> bool:
    if platform.system() == "Linux":
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True
