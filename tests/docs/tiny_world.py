"""The files that the pages name, tiny: slides, a cohort, a trained model, and what comes of them.

A page's commands run for real in a copy of them. Only presets are made quick, an encoder tiny, and
folds two.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_dre_slcl.cli import main
from napari_dre_slcl.config import presets

QUICK = {
    "training.epochs": 1,
    "training.least_steps": 1,
    "training.fresh_tiles": 2,
    "training.slides_per_batch": 4,
    "encoder.input_px": 32,
    "codebook.codewords": 2,
    "codebook.refit_after_epoch": 0,
    "mil.epochs": 2,
    "mil.least_steps": 2,
    "slpd.epochs": 2,
    "giga_ssl.epochs": 2,
}
"""In all presets while pages are run; what a command sets itself goes before it."""
NAMES = "abcdefgh"
ALONE = ("new_slide.svs", "slide.svs", "slide1.svs", "slide2.svs", "biopsy.svs", "a.svs")
REPORTS = {
    "LUAD": "Glands of tall cells, acinar growth, mucin. Margins free, nodes without tumour.",
    "LUSC": "Nests with keratin pearls and bridges, necrosis. Margins free, one node with tumour.",
}

WriteSlide = Callable[..., Path]


def tissue(side_px: int, seed: int) -> NDArray[np.uint8]:
    """Return pink stroma with square purple nuclei, (side_px, side_px, 3)."""
    rng = np.random.default_rng(seed)
    is_nucleus = np.kron(rng.random((side_px // 8, side_px // 8)) < 0.15, np.ones((8, 8), bool))
    pixels = np.where(is_nucleus[..., None], (105, 60, 140), (222, 150, 190))
    return np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def quick_presets() -> Iterator[None]:
    """Let every preset train in a second."""
    quick = {name: {**changes, **QUICK} for name, changes in presets._PRESETS.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presets, "_PRESETS", quick)
        yield


def quickly(arguments: list[str]) -> list[str]:
    """Return a command with a tiny encoder and two folds, where it names neither."""
    if arguments[0] not in ("train", "evaluate"):
        return arguments
    words = " ".join(arguments)
    is_free = not any(name in words for name in ("encoder.name", "features", "cpu-small"))
    tiny = ["--set", "encoder.name=test_resnet"] if is_free else []
    folds = ["--n-folds", "2"] if arguments[0] == "evaluate" else []
    return [*arguments, *folds, *tiny]


class TinyWorld:
    """A folder with the basis, made once; `copy_for` adds what else a page names."""

    def __init__(self, folder: Path, write_slide: WriteSlide, labelled_slide: Path) -> None:
        self.folder = folder
        self._write_slide, self._labelled_slide = write_slide, labelled_slide
        (folder / "slides").mkdir(parents=True)
        for number, name in enumerate(NAMES):
            self._slide(folder / f"slides/{name}.svs", number)
        for number, name in enumerate(ALONE):
            self._slide(folder / name, 20 + number)
        self.write_table(folder / "cohort.csv")
        with inside(folder):
            run(
                quickly(
                    [
                        "train",
                        "--cohort",
                        "cohort.csv",
                        "--run",
                        "runs/first",
                        "--preset",
                        "cpu-small",
                    ]
                )
            )

    def _slide(self, path: Path, seed: int) -> None:
        image = np.full((768, 768, 3), (243, 243, 242), np.uint8)
        image[:512, :512] = tissue(512, seed)
        self._write_slide(path, image=image, header="aperio")

    @staticmethod
    def write_table(path: Path, column: str = "slide", pattern: str = "slides/{}.svs") -> None:
        """Write a cohort table: eight slides of eight patients from four hospitals."""
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow([column, "patient_id", "site", "subtype", "TP53", "report"])
            for number, name in enumerate(NAMES):
                kind = ("LUAD", "LUSC")[number % 2]
                report = f"{REPORTS[kind]} Piece {name}, {number + 2} mm."
                row = [pattern.format(name), f"P{number:02d}", f"H{number // 2}", kind]
                writer.writerow([*row, (number // 2 + number) % 2, report])

    def copy_for(self, text: str, folder: Path) -> Path:
        """Copy the basis, and add the further files that the text names."""
        shutil.copytree(self.folder, folder)
        with inside(folder):
            for name, make in _FURTHER.items():
                if name in text:
                    make(self)
        return folder

    def add_tiff(self) -> None:
        """Add slides that state no pixel size."""
        for number, name in enumerate("ab"):
            image = tissue(512, 40 + number)
            self._write_slide(Path(f"slides/{name}.tif"), image=image, mpp=None)

    def add_label(self) -> None:
        """Let slide.svs have a label and a macro image."""
        shutil.copy(self._labelled_slide, "slide.svs")

    def add_barcodes(self) -> None:
        """Add slides with TCGA barcodes, and the hospitals of their codes."""
        codes = {"05": "LUAD", "44": "LUAD", "22": "LUSC", "33": "LUSC", "49": "LUAD", "66": "LUSC"}
        for number, (code, kind) in enumerate(codes.items()):
            folder = Path("tcga") / kind / f"0000-{number}"  # as gdc-client lays them
            (folder / "logs").mkdir(parents=True)
            name = f"TCGA-{code}-424{number}-01Z-00-DX1.ABCD.svs"
            self._slide(folder / name, 60 + number)
        rows = [f"{code},Hospital {number // 2}" for number, code in enumerate(codes)]
        Path("tss.csv").write_text("\n".join(["TSS Code,Source Site", *rows]), encoding="utf-8")


def run(arguments: list[str]) -> None:
    """Run a command in this process as the program does; anything but success is an error."""
    code = main(arguments)
    assert code == 0, f"dre-slcl {' '.join(arguments)} ended with code {code}"


def _features(_: TinyWorld) -> None:
    run(["embed", "--cohort", "cohort.csv", "--model", "runs/first", "--out", "features"])
    shutil.copy("features/a.h5", "features/slide1.h5")


def _results(_: TinyWorld) -> None:
    run(["predict", "runs/first", *ALONE[:3], "a.svs", "--out", "results"])
    shutil.copy("results/a.dreslcl.npz", ".")


def _vit(_: TinyWorld) -> None:
    import timm
    from safetensors.torch import save_file

    net = timm.create_model("vit_small_patch16_224", num_classes=0)
    save_file(net.state_dict(), "vit.safetensors")


def _practice(world: TinyWorld) -> None:
    """Tiny slides under the names that `synth` gives."""
    shutil.copytree("slides", "practice/slides")
    Path("practice/slides/a.svs").rename("practice/slides/SYN-A002-01.tif")
    world.write_table(Path("practice/cohort.csv"))
    table = Path("practice/cohort.csv")
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("slides/a.svs", "slides/SYN-A002-01.tif"), encoding="utf-8")


def _workbook(_: TinyWorld) -> None:
    from openpyxl import Workbook

    book = Workbook()
    with open("cohort.csv", newline="", encoding="utf-8") as stream:
        for row in csv.reader(stream):
            book.active.append(row)
    book.save("cohort.xlsx")


def _mil(_: TinyWorld) -> None:
    run(
        quickly(
            ["train", "--cohort", "cohort.csv", "--run", "runs/mil", "--method", "attention-mil"]
        )
    )


def _other_method(_: TinyWorld) -> None:
    out = "--out figures-of-another-method"
    run(quickly(f"evaluate --cohort cohort.csv --folds site --method mean-pool {out}".split()))


def _vit256(_: TinyWorld) -> None:
    import timm
    import torch

    net = timm.create_model("vit_small_patch16_224", num_classes=0)
    torch.save(net.state_dict(), "vit256.pth")


def _site_folds(_: TinyWorld) -> None:
    from napari_dre_slcl.cohort import read_cohort
    from napari_dre_slcl.cohort.site_folds import site_folds
    from napari_dre_slcl.cohort.write_splits import write_split_folder

    cohort = read_cohort(Path("cohort.csv"))
    folds = site_folds(cohort, ["subtype"], 2, 0)
    write_split_folder(cohort, folds, Path("cohort-folds-site"))


_FURTHER: dict[str, Callable[[TinyWorld], None]] = {
    "tss.csv": TinyWorld.add_barcodes,
    "features": _features,
    ".dreslcl.npz": _results,
    "vit.safetensors": _vit,
    "vit256.pth": _vit256,
    "practice/": _practice,
    "cohort.xlsx": _workbook,
    "slides/a.tif": TinyWorld.add_tiff,
    "associated": TinyWorld.add_label,
    "runs/copied": lambda _: shutil.copytree("runs/first", "runs/copied"),
    "cohort-folds-site": _site_folds,
    "other.csv": lambda world: world.write_table(Path("other.csv")),
    "runs/mil": _mil,
    "/index": lambda _: run(["index", "runs/first", "--cohort", "cohort.csv"]),
    "figures-of-another-method": _other_method,
}
