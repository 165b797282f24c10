r"""Write the tile features of a cohort's slides with the encoder of a model, as TRIDENT would.

    python benchmarks/tile_features.py --cohort TABLE.csv --model RUN --out FEATURES

What benchmarks on features start from. One HDF5 file per slide; files that are there stay.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from napari_dre_slcl.cohort.cohort import read_cohort
from napari_dre_slcl.cohort.feature_store import FeatureOrigin, write_features
from napari_dre_slcl.engine.predict_source import predict_source
from napari_dre_slcl.model.bundle import load_bundle
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import TileSource, tile_slide


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohort", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    bundle = load_bundle(options.model)
    tiling = bundle.config.tiling
    options.out.mkdir(parents=True, exist_ok=True)
    origin = FeatureOrigin(
        bundle.config.encoder.name, bundle.weights_sha256, tiling.mpp, tiling.tile_px
    )
    for row in read_cohort(options.cohort).rows:
        path = options.out / f"{row.slide_id}.h5"
        if path.exists():
            continue
        with open_slide(row.path, mpp=row.mpp) as slide:
            source = TileSource(slide, tile_slide(slide, tiling))
            features = predict_source(bundle, source, row.slide_id).features
            size = source.grid.size_px
            write_features(path, features, source.grid.yx, origin, size, slide.info.mpp)
        sys.stderr.write(f"{path.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
