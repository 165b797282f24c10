"""Child of the doctor: makes the canvas that napari makes, and prints what draws on it as JSON."""

from __future__ import annotations

import json
import sys

__all__ = ["main"]


def main() -> None:
    """Print the Qt binding, and OpenGL's renderer, version and largest texture."""
    import qtpy
    from vispy.app import Canvas, use_app
    from vispy.gloo import gl

    use_app(qtpy.API_NAME.lower())
    canvas = Canvas(show=False)
    try:
        facts = {
            "binding": qtpy.API_NAME,
            "binding_version": qtpy.PYQT_VERSION or qtpy.PYSIDE_VERSION or "",
            "qt": qtpy.QT_VERSION,
            "renderer": gl.glGetParameter(gl.GL_RENDERER) or "",
            "version": gl.glGetParameter(gl.GL_VERSION) or "",
            "texture_px": gl.glGetParameter(gl.GL_MAX_TEXTURE_SIZE),
        }
    finally:
        canvas.close()
    sys.stdout.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()
