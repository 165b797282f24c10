"""A tiny cohort on disk and a model trained on it through the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from napari_dre_slcl.cli import main

TINY = (
    "training.epochs=1",
    "training.fresh_tiles=2",
    "training.slides_per_batch=4",
    "encoder.input_px=32",
    "codebook.codewords=2",
    "codebook.refit_after_epoch=0",
)


@pytest.fixture(scope="session")
def write_cohort() -> Callable[[Path, list[Path]], Path]:
    """Return a function that writes a table: one patient per slide, alternating labels."""

    def write(folder: Path, slides: list[Path]) -> Path:
        rows = [f"{path},P{number},{'AB'[number % 2]}" for number, path in enumerate(slides)]
        table = folder / "cohort.csv"
        table.write_text("\n".join(["slide,patient_id,subtype", *rows]), encoding="utf-8")
        return table

    return write


@pytest.fixture(scope="session")
def tiny_slides(
    tmp_path_factory: pytest.TempPathFactory,
    make_slide: Callable[..., Path],
    tissue_image: Callable[..., object],
) -> list[Path]:
    """Six slides with four tiles of tissue each."""
    folder = tmp_path_factory.mktemp("tiny_slides")
    image = tissue_image(768, 768, (0, 0, 512, 512))
    return [make_slide(folder / f"s{number}.tif", image=image) for number in range(6)]


@pytest.fixture(scope="session")
def tiny_cohort(tiny_slides: list[Path], write_cohort: Callable[[Path, list[Path]], Path]) -> Path:
    """Cohort table of the six slides."""
    return write_cohort(tiny_slides[0].parent, tiny_slides)


@pytest.fixture(scope="session")
def tiny_run(tiny_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folder of a training on the tiny cohort."""
    run_dir = tmp_path_factory.mktemp("tiny_run") / "run"
    options = ["--cohort", str(tiny_cohort), "--run", str(run_dir), "--preset", "cpu-small"]
    settings = [part for pair in TINY for part in ("--set", pair)]
    assert main(["train", *options, *settings]) == 0
    return run_dir
