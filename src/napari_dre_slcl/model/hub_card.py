"""The card of a model that is shared: Markdown under a YAML header that hubs of models read.

The header's keys are those of the Hugging Face hub's model cards (``modelcard.md`` of its
documentation, ``huggingface_hub.ModelCardData``). JSON is written, which is YAML as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from napari_dre_slcl.model.model_card import model_card

__all__ = ["hub_card"]

_TAGS = (
    "histopathology",
    "pathology",
    "whole-slide-image",
    "multiple-instance-learning",
    "napari",
)
_METRICS = {"auc": "roc_auc"}
"""What the hub calls our figures, where it calls them otherwise."""
_USE = """```sh
pip install "napari-dre-slcl[engine]"
hf download OWNER/NAME --local-dir model
dre-slcl predict model slide.svs --out results
```"""


def hub_card(
    header: Mapping[str, Any],
    name: str,
    licence: str,
    tags: Iterable[str] = (),
    metrics: Mapping[str, Any] | None = None,
) -> str:
    """Return the ``README.md`` of a shared model.

    Parameters
    ----------
    header : mapping
        What its ``model.json`` holds.
    name : str
        What the model is called.
    licence : str
        As the hub names it, in small letters.
    tags : iterable of str
        Beside those that every model of ours has.
    metrics : mapping, optional
        A run's ``metrics.json``: numbers by ``test/FIGURE/TASK``.
    """
    is_of_features = header["encoder"]["kind"] == "features"
    has_tasks = bool(header["tasks"])
    facts: dict[str, Any] = {
        "license": licence,
        "library_name": "napari-dre-slcl",
        "pipeline_tag": "image-classification" if has_tasks else "image-feature-extraction",
        "tags": list(dict.fromkeys([*_TAGS, header["config"]["method"], *tags])),
    }
    if licence == "other":
        facts["license_name"] = "see-the-card"
    results = _results(metrics or {})
    if results:
        facts["metrics"] = sorted({one["type"] for task in results for one in task["metrics"]})
        facts["model-index"] = [{"name": name, "results": results}]
    top = "\n".join(f"{key}: {json.dumps(value)}" for key, value in facts.items())
    use = _USE.replace("slide.svs", "features/slide.h5") if is_of_features else _USE
    told = {
        f"{one['name']} of {task['task']['name']}": one["value"]
        for task in results
        for one in task["metrics"]
    }
    known = header.get("metrics") or told
    body = model_card({**header, "licence": f"{licence}.", "metrics": known}).removeprefix(
        "# Model card\n\n"
    )
    return f"---\n{top}\n---\n\n# {name}\n\n## Use it\n\n{use}\n\n{body}"


def _results(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one entry per task, of held-out patients alone."""
    found: dict[str, list[dict[str, Any]]] = {}
    for key, value in metrics.items():
        split, _, rest = key.partition("/")
        figure, _, task = rest.partition("/")
        if split == "test" and task and isinstance(value, int | float):
            kind = _METRICS.get(figure, figure)
            found.setdefault(task, []).append({"type": kind, "value": value, "name": figure})
    return [
        {
            "task": {"type": "image-classification", "name": task},
            "dataset": {
                "type": "private",
                "name": "held-out patients of the training cohort",
            },
            "metrics": figures,
        }
        for task, figures in found.items()
    ]
