"""Open napari on a slide and its result: ``python -m napari_dre_slcl.gui.show SLIDE``.

With ``--screenshot`` the whole window is saved as a picture and the program ends.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import napari
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_dre_slcl.errors import DreSlclError, JobError
from napari_dre_slcl.gui.dock import DreSlclDock
from napari_dre_slcl.results import load_result
from napari_dre_slcl.slide import open_slide

__all__ = ["main", "show_slide"]

_WINDOW_PX = (1600, 1000)
_SETTLE_MS = 2500


def show_slide(
    slide: Path,
    result: Path | None = None,
    mpp: float | None = None,
    model: Path | None = None,
    is_side_by_side: bool = True,
) -> tuple[napari.Viewer, DreSlclDock]:
    """Open a viewer with a slide, its result and the dock.

    Parameters
    ----------
    slide : Path
        Slide file or DICOM folder.
    result : Path, optional
        Its result file.
    mpp : float, optional
        µm per level-0 pixel where the slide does not say.
    model : Path, optional
        Model folder that the Explore tab starts with.
    is_side_by_side : bool
        Clusters and attention beside each other instead of one over the other.

    Returns
    -------
    tuple of napari.Viewer and DreSlclDock

    Raises
    ------
    DreSlclError
        If a file cannot be opened.
    """
    shown = None if result is None else load_result(result)
    with open_slide(slide, mpp):
        pass  # complain before a window appears
    viewer = napari.Viewer(title="DRE-SLCL", show=False)
    dock = DreSlclDock(viewer)
    viewer.window.add_dock_widget(dock, name="DRE-SLCL", area="right")
    if model is not None:
        dock.result_panel.model_field.setValue(model)
    dock.overlay.open_slide(slide, mpp)
    if shown is not None:
        dock.overlay.show_result(shown)
        dock.tabs.setCurrentIndex(3)
        dock.result_panel.side_by_side.setChecked(is_side_by_side)
    viewer.canvas.overlays.scale_bar.visible = dock.overlay.slide is not None
    viewer.window.show()
    viewer.window.resize(*_WINDOW_PX)
    viewer.reset_view()
    return viewer, dock


def main(argv: list[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; the process's own by default.

    Returns
    -------
    int
        0, or 2 after an error, which is printed as one sentence.
    """
    options = _parse(argv)
    try:
        viewer, _dock = show_slide(
            options.slide, options.result, options.mpp, options.model, not options.stacked
        )
        if options.screenshot is None:
            napari.run()
        else:
            _save_picture(viewer, options.screenshot)
    except DreSlclError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m napari_dre_slcl.gui.show")
    parser.add_argument("slide", type=Path, help="slide file or DICOM folder")
    parser.add_argument("--result", type=Path, help="result file of the slide")
    parser.add_argument("--mpp", type=float, help="µm per level-0 pixel")
    parser.add_argument("--model", type=Path, help="model folder for the Explore tab")
    parser.add_argument("--stacked", action="store_true", help="attention over the clusters")
    parser.add_argument("--screenshot", type=Path, help="save the window here and end")
    return parser.parse_args(argv)


def _save_picture(viewer: napari.Viewer, picture: Path) -> None:
    loop = QEventLoop()
    QTimer.singleShot(_SETTLE_MS, loop.quit)  # until the slide has been read and drawn
    loop.exec()
    try:
        viewer.screenshot(str(picture), canvas_only=False, flash=False)
    except OSError as error:
        raise JobError(f"The picture '{picture}' cannot be written: {error.strerror}.") from error
    viewer.close()
    QApplication.processEvents()


if __name__ == "__main__":
    sys.exit(main())
