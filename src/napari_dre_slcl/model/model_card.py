"""The card of a trained model: what it is, what it saw, how well it did, what it is not for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_dre_slcl.cohort.shared_words import LEAST_PATIENTS

__all__ = ["model_card"]

_SOURCES = {
    "dre-slcl": "arXiv 2511.05034",
    "attention-mil": "Ilse et al., ICML 2018",
    "mean-pool": "mean tile feature and logistic regression",
    "giga-ssl": "Lazard et al., CVPRW 2023",
    "slpd": "Yu et al., MICCAI 2023, arXiv 2307.10696",
}
_USE = """\
Research on H&E slides like those of the training cohort: to rank and to look into slides, and to
form hypotheses that are then tested. A probability is not calibrated for other cohorts."""
_LIMITS = """\
It has seen the scanners, stains, sites and patients of its training cohort only. Attention says
where the model looked, not what the tissue is. It is no medical device and no ground for a decision
on a patient."""
_LICENCE = """\
Unknown: it follows from the licence of the weights that training began from, of the slides and of
the reports. Find these out before you pass the model on."""


def model_card(header: Mapping[str, Any]) -> str:
    """Return the card in Markdown.

    Parameters
    ----------
    header : mapping
        What ``model.json`` holds.
    """
    sections = {
        "What it is": _what(header),
        "Training data": _data(header),
        "Words of the reports": _words(header),
        "Tasks": _tasks(header),
        "Metrics": _metrics(header.get("metrics") or {}),
        "Intended use": _USE,
        "Limits": _LIMITS,
        "Licence of the weights": header.get("licence") or _LICENCE,
        "Versions and hashes": _origin(header),
    }
    parts = ["# Model card", *(f"## {title}\n\n{text}" for title, text in sections.items())]
    return "\n\n".join(parts) + "\n"


def _what(header: Mapping[str, Any]) -> str:
    config, encoder, pixels = header["config"], header["encoder"], header["input"]
    size = f"{header['parameters'] / 1e6:.2f} million parameters"
    is_ours = config["method"] == "dre-slcl"
    method = f"Method {config['method']} ({_SOURCES[config['method']]}), preset {config['preset']}"
    codewords = f", {len(header['codewords'])} codewords" if header["codewords"] else ""
    lines = [f"{method}, {size}{codewords}."]
    if encoder["kind"] == "features":
        on_top = (
            f"with the adapter '{config['features']['adapter']}' on top" if is_ours else "as is"
        )
        lines.append(
            f"It takes feature files (HDF5) of {encoder['feature_dim']} numbers per tile, "
            f"{on_top}, and sees no pixels."
        )
    else:
        start = config["encoder"]["weights"] or (
            "the hub" if encoder["name"].startswith("hf-hub:") else "random numbers"
        )
        if config["pretrain"]["epochs"]:
            start += " and pretrained on the training tiles without labels"
        lines.append(
            f"Tile encoder {encoder['name']}, started from {start}, on tiles of "
            f"{pixels['tile_px']} px at {pixels['mpp']:g} µm/px, shrunk to "
            f"{pixels['input_px']} px; input mean {_row(pixels['mean'])}, deviation "
            f"{_row(pixels['std'])}."
        )
    text = header["text_encoder"]
    kind = text.get("kind") if isinstance(text, Mapping) else text
    model = text.get("model") if isinstance(text, Mapping) else None
    if kind:
        name = f"{kind} {model}" if model else kind
        lines.append(f"Slides were contrasted with reports, read by {name}.")
    else:
        lines.append("Trained without reports.")
    return "\n".join(lines)


def _data(header: Mapping[str, Any]) -> str:
    counts = {
        "slides": header.get("training_slides"),
        "patients": header.get("training_patients"),
        "tiles": header.get("training_tiles"),
    }
    known = [f"- {name}: {count:,}" for name, count in counts.items() if count is not None]
    return "\n".join(known) or "Not recorded."


def _words(header: Mapping[str, Any]) -> str:
    if not header.get("text_sha256"):
        return "None are kept here."
    return (
        f"The folder 'text' has the words and pairs of words that the training reports of at least "
        f"{LEAST_PATIENTS} patients share, so that phrases can be asked. Rarer ones, such as names "
        "of patients and numbers of cases, are left out. A name that many reports bear, such as "
        "that of who signs them, is not: look through 'text/words.json', or delete the folder, "
        "before you pass the model on. Predictions do not need it."
    )


def _tasks(header: Mapping[str, Any]) -> str:
    lines = [f"- {task['name']}: {', '.join(task['classes'])}" for task in header["tasks"]]
    return "\n".join(lines) or "None: it gives slide vectors only."


def _metrics(metrics: Mapping[str, Any]) -> str:
    lines = []
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            lines.append(f"- {name}: {value['mean']:.3f} ± {value['std']:.3f} (n = {value['n']})")
        else:
            lines.append(f"- {name}: {value:.3f}, one split, spread unknown")
    return "\n".join(lines) or (
        "None were known when the model was saved; its run folder's metrics.json has those of "
        "held-out patients, of one split and without spread."
    )


def _origin(header: Mapping[str, Any]) -> str:
    lines = [f"- {name} {number}" for name, number in header["versions"].items()]
    lines.append(f"- weights: SHA-256 {header['weights_sha256']}")
    if header.get("cohort_sha256"):
        lines.append(f"- cohort table: SHA-256 {header['cohort_sha256']}")
    lines.append(f"- made {header['created']}")
    return "\n".join(lines)


def _row(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
