"""How soon questions about a large slide are answered, and what explaining it costs.

    python benchmarks/what_if.py [--tiles 100000] [--dim 384]

A model of the default preset with random weights, and a slide of clustered random features. Prints
the seconds of a first what-if (model and slide are read), of the second (both are warm), of a
phrase's likeness, and of evidence, intervals and report space, each with its ratio to a full
`describe()` of the same slide in the same run. Report space is also set against the encoding of
the tiles by ViT-S, of which 16 are encoded.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from napari_dre_slcl.cohort.tasks import Task
from napari_dre_slcl.config import load_preset, with_overrides
from napari_dre_slcl.engine.tile_draws import draw_predictions
from napari_dre_slcl.engine.what_if import run_what_if
from napari_dre_slcl.gui.similarity import SpaceReader
from napari_dre_slcl.jobs.messages import WhatIfJob
from napari_dre_slcl.model.bundle import Bundle, load_bundle, save_bundle
from napari_dre_slcl.model.encoders import build_encoder
from napari_dre_slcl.model.nets import build_net
from napari_dre_slcl.model.tile_terms import tile_evidence
from napari_dre_slcl.results import SlideResult, TaskPrediction, save_result

TASKS = (Task("subtype", ("LUAD", "LUSC"), "LUSC"), Task("cancer", ("normal", "cancer"), "cancer"))
TEXT_DIM = 256
FEW_TILES = 16


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Return the shortest of some calls."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


def clustered(n_tiles: int, dim: int) -> Tensor:
    """Return (n, dim) unit rows around a dozen centres."""
    centres = torch.randn(12, dim)
    features = centres[torch.randint(0, 12, (n_tiles,))] + 0.7 * torch.randn(n_tiles, dim)
    return torch.nn.functional.normalize(features, dim=1)


def make_model(folder: Path, features: Tensor) -> Bundle:
    """Save a model of the default preset for features of this width, and load it."""
    config = with_overrides(load_preset("default"), {"features.adapter": "none"})
    encoder = build_encoder(config, features.shape[1])
    net = build_net(config, [len(task.classes) for task in TASKS], TEXT_DIM, encoder)
    k = config.codebook.codewords
    net.set_codebook(features[torch.randperm(len(features))[:k]], features)  # type: ignore[attr-defined]
    facts = {"training_slides": 0, "training_patients": 0, "training_tiles": 0}
    save_bundle(Bundle(net, config, TASKS, TEXT_DIM), folder, facts | {"cohort_sha256": ""})
    return load_bundle(folder)


def make_result(bundle: Bundle, features: Tensor, path: Path) -> SlideResult:
    """Save a result that holds these features."""
    output = bundle.net.describe(features)
    side = int(np.ceil(np.sqrt(len(features))))
    number = np.arange(len(features))
    result = SlideResult(
        slide_id="large",
        slide_path="large.tif",
        slide_shape=(side * 256, side * 256),
        mpp=0.5,
        mpp_source="made up",
        tile_size_px=256,
        grid_shape=(side, side),
        rowcol=np.stack([number // side, number % side], axis=1),
        codeword=output.codeword.numpy(),
        attention=output.attention.numpy(),
        residual_norm=output.residual_norm.numpy(),
        n_codewords=len(output.codeword_attention),
        codeword_attention=output.codeword_attention.numpy(),
        slide_vector=output.vector.detach().numpy(),
        predictions=tuple(
            TaskPrediction(task.name, task.classes, tuple(values.tolist()), task.positive)
            for task, values in zip(TASKS, output.probabilities, strict=True)
        ),
        provenance={"model_sha256": bundle.weights_sha256, "model": str(bundle.folder)},
        features=features.numpy(),
    )
    save_result(result, path)
    return result


def measure(n_tiles: int, dim: int, folder: Path) -> None:
    """Measure everything and print it."""
    features = clustered(n_tiles, dim)
    bundle, path = make_model(folder / "model", features), folder / "large.dreslcl.npz"
    result = make_result(bundle, features, path)
    net = bundle.net
    full = seconds(lambda: net.describe(features))
    print(f"{n_tiles:,} tiles x {dim}, {torch.get_num_threads()} threads")

    def tell(what: str, found: float) -> None:
        print(f"  {what:44} {found * 1e3:8.0f} ms   x {found / full:.2f} of describe()")

    tell("describe(), the whole slide anew", full)
    question = WhatIfJob(model=folder / "model", result=path, without_codewords=(0,))
    run = lambda: run_what_if(question, lambda event: None, lambda: False)  # noqa: E731
    tell("what if, first: model and slide are read", seconds(run, 1))
    tell("what if, second: both are warm", seconds(run))
    terms = net.tile_terms(features)
    assert terms is not None
    tell("evidence of two heads", seconds(lambda: tile_evidence(net, terms, [(0, 1), (1, 1)])))
    tell("intervals from 200 draws of the tiles", seconds(lambda: draw_predictions(net, terms)))
    space = net.report_space(features)
    assert space is not None
    in_space = seconds(lambda: net.report_space(features), 1)
    tell("report space of every tile", in_space)
    save_result(replace(result, report_space=space.half().numpy()), path)
    phrase = torch.nn.functional.normalize(torch.randn(1, TEXT_DIM), dim=1).numpy()
    np.save(folder / "phrase.npy", phrase)
    reader = SpaceReader()
    ask = lambda: reader.similarity(path, folder / "phrase.npy", None)  # noqa: E731
    tell("likeness to a phrase, first", seconds(ask, 1))
    tell("likeness to a phrase, again", seconds(ask))
    pixels = torch.rand(FEW_TILES, 3, 256, 256)
    vit = build_encoder(load_preset("default")).eval()
    with torch.no_grad():
        per_tile = seconds(lambda: vit(pixels), 1) / FEW_TILES
    print(
        f"  report space takes {in_space / (per_tile * n_tiles):.4f} of what encoding the tiles by "
        f"ViT-S takes ({per_tile * n_tiles:,.0f} s)"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        measure(arguments.tiles, arguments.dim, Path(folder))


if __name__ == "__main__":
    main()
