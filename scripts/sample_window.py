"""Open the sample result in napari as File > Open Sample does, and save the window as a picture.

``python sample_window.py PICTURE``. Uses what is installed, not the checkout that it lies in.
"""

from __future__ import annotations

import sys
import time

import napari
from qtpy.QtWidgets import QApplication

LIMIT_S = 180.0
SETTLE_S = 3.0


def wait(viewer: napari.Viewer, n_layers: int) -> None:
    """Let the window work until it shows so many layers, then until it is drawn."""
    start = time.monotonic()
    while len(viewer.layers) < n_layers:
        QApplication.processEvents()
        if time.monotonic() - start > LIMIT_S:
            sys.exit(f"After {LIMIT_S:.0f} s there are only {list(viewer.layers)}.")
    settled = time.monotonic() + SETTLE_S
    while time.monotonic() < settled:
        QApplication.processEvents()


def main() -> None:
    """Open, wait, and save."""
    viewer = napari.Viewer(show=False)
    viewer.window.show()
    viewer.window.resize(1600, 1000)
    viewer.open_sample("napari-dre-slcl", "slide_with_model")
    wait(viewer, n_layers=2)  # the slide, and what the model says of it
    viewer.screenshot(sys.argv[1], canvas_only=False)
    print("Layers:", ", ".join(layer.name for layer in viewer.layers))
    viewer.close()


if __name__ == "__main__":
    main()
