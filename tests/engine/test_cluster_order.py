"""What a task is told travels as JSON and arrives as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_dre_slcl.cohort.feature_store import FeatureOrigin
from napari_dre_slcl.config import load_preset
from napari_dre_slcl.engine.embed_tiles import EmbedWork
from napari_dre_slcl.engine.predict_file import PredictWork
from napari_dre_slcl.engine.slide_work import SlideItem

pytest.importorskip("distributed", reason="needs the extra 'cluster'")


@pytest.mark.parametrize("kind", ["embed", "predict"])
def test_an_order_arrives_as_it_was(kind: str) -> None:
    from napari_dre_slcl.engine.cluster.order import read_order, write_order

    origin = FeatureOrigin("vit", "0" * 64, 0.5, 256)
    work = {
        "embed": EmbedWork(Path("/e"), origin, 128, load_preset("default").tiling, token=Path("t")),
        "predict": PredictWork(Path("model"), "1" * 64, mask=Path("mask.tif"), has_ids=True),
    }[kind]
    item = SlideItem("Präparat 1", Path("s3://bucket/1.svs"), Path("/out/1.h5"), 0.25, "table")
    text = write_order(work, item)
    assert json.loads(text)["kind"] == kind
    assert read_order(text) == (work, item)
