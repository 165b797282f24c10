"""What a task is told to do, as JSON: a worker runs nothing that a message brings along."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from napari_dre_slcl.engine.embed_tiles import EmbedWork
from napari_dre_slcl.engine.predict_file import PredictWork
from napari_dre_slcl.engine.slide_work import SlideItem, SlideWork

__all__ = ["read_order", "write_order"]

_KINDS: dict[str, type] = {"embed": EmbedWork, "predict": PredictWork}


def write_order(work: SlideWork, item: SlideItem) -> str:
    """Return one JSON object of a work and the slide that it is for."""
    kind = next(kind for kind, made in _KINDS.items() if isinstance(work, made))
    return json.dumps({"kind": kind, "work": _plain(work), "item": _plain(item)})


def read_order(text: str) -> tuple[SlideWork, SlideItem]:
    """Return what `write_order` was given."""
    told = json.loads(text)
    work: SlideWork = TypeAdapter(_KINDS[told["kind"]]).validate_python(told["work"])
    return work, TypeAdapter(SlideItem).validate_python(told["item"])


def _plain(value: Any) -> Any:
    return TypeAdapter(type(value)).dump_python(value, mode="json")
