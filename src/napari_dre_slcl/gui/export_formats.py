"""What the kinds of exported files are called and what they are for. No Qt."""

from __future__ import annotations

__all__ = ["FORMATS"]

FORMATS = {
    "html": (
        "Report on one page (HTML)",
        "Predictions, quality, maps, tiles that count most and provenance, for any browser.",
    ),
    "png": ("Picture with scale bar (PNG)", "The whole slide with a map over it, and its legend."),
    "geojson": (
        "For QuPath (GeoJSON)",
        "Squares of the tiles, outlines of the clusters, measurements. Drop it on the slide.",
    ),
    "ome-zarr": ("Maps (OME-Zarr)", "All maps as images that lie on the slide, in µm."),
    "csv": ("Values of the tiles (CSV)", "One row per tile: place, codeword and numbers."),
    "parquet": (
        "Values of the tiles (Parquet)",
        "The same as CSV, smaller and faster to read for large slides. Needs pyarrow.",
    ),
}
"""Title and explanation by the format's name."""
