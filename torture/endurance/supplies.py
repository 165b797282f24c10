"""What a day in the window needs: slides, results, tables, a model, and files of no use."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from napari_dre_slcl.cohort.synthetic import generate_cohort
from napari_dre_slcl.cohort.synthetic_slide import write_pyramid
from napari_dre_slcl.results import RESULT_SUFFIX, SlideResult, TaskPrediction, save_result
from torture.kills.order import Order
from torture.kills.program import started

__all__ = ["TINY", "Supplies", "make_supplies", "read_supplies", "write_supplies"]

TINY: dict[str, object] = {
    "encoder.name": "test_vit",
    "encoder.input_px": 32,
    "codebook.codewords": 4,
    "codebook.refit_after_epoch": 0,
    "training.epochs": 15,
    "training.fresh_tiles": 2,
    "training.slides_per_batch": 4,
    "training.preflight": False,
    "training.device": "cpu",
}
"""Settings of a training of seconds."""
_REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
_MOST_REAL = 12
_MODULES = ("napari_dre_slcl.engine.train", "napari_dre_slcl.engine.build_index")


@dataclass(frozen=True, slots=True)
class Supplies:
    """What there is to open.

    Parameters
    ----------
    slides, results, tables : list of Path
        Slides, results of some of them, cohort tables; the first table is trained on.
    wrong : list of Path
        Files of no use, and one that is not there.
    run : Path or None
        A run with a model and an index, where the day needs one.
    out : Path
        For what the person makes.
    """

    slides: list[Path]
    results: list[Path]
    tables: list[Path]
    wrong: list[Path]
    run: Path | None
    out: Path


def make_supplies(folder: Path, *, has_model: bool) -> Supplies:
    """Make what a day needs; real slides are among them where there are any.

    Parameters
    ----------
    folder : Path
        Empty.
    has_model : bool
        Train a model and make its index; else results are made up.
    """
    out = folder / "out"
    out.mkdir()
    if has_model:
        table = generate_cohort(folder / "cohort", n_slides=8, side_px=1024)
        made = sorted((table.parent / "slides").glob("*.tif"))
        run = _trained(folder, table)
        results = sorted((run / "index").rglob(f"*{RESULT_SUFFIX}"))
        slides, tables = [*made, *_real_slides()], [table, _large_table(folder)]
    else:
        run, made = None, _noise(folder)
        results = [
            save_result(_made_up(path), out / f"{path.stem}{RESULT_SUFFIX}") for path in made
        ]
        slides, tables = made, [_large_table(folder)]
    return Supplies(slides, results, tables, _wrong(folder / "wrong", made[0]), run, out)


def write_supplies(path: Path, supplies: Supplies) -> None:
    """Write them for the window's process."""
    path.write_text(json.dumps(asdict(supplies), default=str), encoding="utf-8")


def read_supplies(path: Path) -> Supplies:
    """Read them there."""
    told = json.loads(path.read_text(encoding="utf-8"))
    values = {one.name: told[one.name] for one in fields(Supplies)}
    for name in ("slides", "results", "tables", "wrong"):
        values[name] = [Path(text) for text in values[name]]
    run = values["run"]
    return Supplies(**values | {"run": run and Path(run), "out": Path(values["out"])})


def _real_slides() -> list[Path]:
    folders = (_REAL / "lung_mosaic" / "slides", _REAL / "slides")
    found = [sorted(path for path in one.glob("*") if path.is_file()) for one in folders]
    return found[0][:_MOST_REAL] + found[1]


def _trained(folder: Path, table: Path) -> Path:
    run, log = folder / "run", folder / "log.txt"
    short = TINY | {"training.epochs": 2}
    settings = [part for name, value in short.items() for part in ("--set", f"{name}={value}")]
    for argv in (
        ["train", "--cohort", str(table), "--run", str(run), "--preset", "cpu-small", *settings],
        ["index", str(run), "--cohort", str(table)],
    ):
        with started(folder, _MODULES) as program:
            ended = program.run(Order(argv, str(folder), str(log)))
        if ended.code:
            raise RuntimeError(f"{argv[0]} ended with {ended.code}: {log.read_text()[-2000:]}")
    return run


def _made_up(slide: Path) -> SlideResult:
    """Return a result of 16 tiles that no model has made."""
    n_tiles = 16
    return SlideResult(
        slide_id=slide.stem,
        slide_path=str(slide),
        slide_shape=(1024, 1024),
        mpp=0.5,
        mpp_source="TIFF resolution",
        tile_size_px=256,
        grid_shape=(4, 4),
        rowcol=np.argwhere(np.ones((4, 4), bool)),
        codeword=np.arange(n_tiles) % 3,
        attention=np.full(n_tiles, 1 / n_tiles, np.float32),
        residual_norm=np.linspace(0.5, 1.5, n_tiles, dtype=np.float32),
        n_codewords=3,
        codeword_attention=np.full(3, 1 / 3, np.float32),
        slide_vector=np.zeros(2, np.float32),
        predictions=(TaskPrediction("cancer", ("normal", "cancer"), (0.2, 0.8), "cancer"),),
    )


def _noise(folder: Path) -> list[Path]:
    """Make two slides at no cost."""
    draw = np.random.default_rng(0)
    paths = [folder / f"noise-{number}.tif" for number in range(2)]
    for path in paths:
        write_pyramid(path, draw.integers(100, 255, (1024, 1024, 3), np.uint8))
    return paths


def _large_table(folder: Path) -> Path:
    path = folder / "large.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("slide_id", "slide", "patient_id", "grade"))
        writer.writerows((f"s{n}", f"s{n}.tif", f"p{n // 2}", n % 3) for n in range(3000))
    return path


def _wrong(folder: Path, slide: Path) -> list[Path]:
    folder.mkdir()
    content = slide.read_bytes()
    for name, part in (
        ("empty.tif", b""),
        ("cut.tif", content[: len(content) // 3]),
        ("page.svs", b"<html><title>404</title></html>"),
        (f"page{RESULT_SUFFIX}", b"PK\x03\x04 no more"),
        ("table.csv", b"\x00\xff\xfe a,b\n\n,,,,\n"),
    ):
        (folder / name).write_bytes(part)
    return [*sorted(folder.iterdir()), folder / "not-there.tif", folder]
