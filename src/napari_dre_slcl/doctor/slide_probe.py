"""Child of the doctor: writes a slide, reads it twice, prints what it found as JSON."""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path

__all__ = ["main"]

_TOLERANCE = 2.0
"""Grey levels by which two JPEG decoders may differ on average."""


def main() -> None:
    """Print the version of OpenSlide and how far two readers are apart."""
    import numpy as np
    import openslide

    from napari_dre_slcl.slide import open_slide

    with tempfile.TemporaryDirectory(prefix="dre-slcl-") as folder:
        path = _written(Path(folder) / "doctor.tif")
        with openslide.OpenSlide(str(path)) as slide:
            theirs = np.asarray(slide.read_region((0, 0), 0, (256, 256)).convert("RGB"), float)
        with open_slide(path) as own:
            ours = np.asarray(own.read_region(0, 0, 256, 256), float)
    difference = float(abs(theirs - ours).mean())
    facts = {
        "openslide": openslide.__library_version__,
        "difference": difference,
        "tolerance": _TOLERANCE,
    }
    sys.stdout.write(json.dumps(facts) + "\n")


def _written(path: Path) -> Path:
    """Write a tiled JPEG TIFF of 512x512 px, as scanners do."""
    import numpy as np
    import tifffile

    from napari_dre_slcl.atomic_file import atomic_writer

    ramp = np.linspace(0, 255, 512, dtype=np.uint8)
    image = np.stack(
        [np.tile(ramp, (512, 1)), np.tile(ramp[:, None], (1, 512)), np.full((512, 512), 128)], -1
    ).astype(np.uint8)
    held = io.BytesIO()
    tifffile.imwrite(
        held,
        image,
        tile=(256, 256),
        photometric="rgb",
        compression="jpeg",
        resolution=(20_000, 20_000),
        resolutionunit="CENTIMETER",
        metadata=None,
    )
    with atomic_writer(path) as stream:
        stream.write(held.getvalue())
    return path


if __name__ == "__main__":
    main()
