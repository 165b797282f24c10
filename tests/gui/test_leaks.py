"""Closed windows leave nothing behind; benchmarks/window_leaks.py does it 200 times."""

from __future__ import annotations

import gc
import threading
import weakref

import psutil
from napari._qt.qt_viewer import QtViewer
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from napari_dre_slcl.gui.dock import DreSlclDock

N_CYCLES = 3
WAIT_MS = 30_000


def test_closed_windows_leave_no_viewer_dock_thread_or_child(
    qtbot, make_napari_viewer, slide_path, trained
) -> None:
    gone: list[weakref.ref] = []
    children = psutil.Process().children()
    for _ in range(N_CYCLES):
        viewer = make_napari_viewer()
        dock = DreSlclDock(viewer)
        viewer.window.add_dock_widget(dock, name="DRE-SLCL")
        dock.overlay.open_slide(slide_path)
        with qtbot.waitSignal(dock.overlay.result_shown, timeout=WAIT_MS):
            dock.overlay.load_result(trained.result_path)
        for index in range(dock.tabs.count()):
            dock.tabs.setCurrentIndex(index)
            QApplication.processEvents()
        gone += [weakref.ref(one) for one in (dock, dock.session, viewer.layers[0])]
        viewer.close()
        del viewer, dock
    QApplication.sendPostedEvents(None, int(QEvent.Type.DeferredDelete.value))
    qtbot.wait(100)
    gc.collect()
    assert not [reference() for reference in gone if reference() is not None]
    assert not [one for one in gc.get_objects() if issubclass(type(one), QtViewer)]
    assert not [one for one in threading.enumerate() if one.name.startswith("dre-slcl")]
    assert psutil.Process().children() == children
