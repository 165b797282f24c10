"""The dock of a viewer: the one that is open, else a new one."""

from __future__ import annotations

from typing import Any

from napari_dre_slcl.gui.dock import DreSlclDock

__all__ = ["open_dock"]

_PLUGIN, _WIDGET = "napari-dre-slcl", "DRE-SLCL"


def open_dock(viewer: Any, tab: str | None = None) -> DreSlclDock:
    """Return the dock of a viewer, shown, with a tab in front.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    tab : str, optional
        Name of a tab, such as ``Explore``.
    """
    dock = next(
        (one for one in viewer.window.dock_widgets.values() if isinstance(one, DreSlclDock)), None
    )
    if dock is None:
        _, dock = viewer.window.add_plugin_dock_widget(_PLUGIN, _WIDGET)
    frame = dock.parentWidget()
    if frame is not None:
        frame.show()
        frame.raise_()
    for number in range(dock.tabs.count()):
        if dock.tabs.tabText(number) == tab:
            dock.tabs.setCurrentIndex(number)
    return dock
