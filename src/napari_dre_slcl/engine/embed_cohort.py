"""The tile features of a whole cohort, one file per slide: the job behind ``dre-slcl embed``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.cohort.feature_index import read_index, update_index
from napari_dre_slcl.cohort.feature_store import FeatureOrigin, open_features
from napari_dre_slcl.cohort.from_folder import SLIDE_SUFFIXES, table_of_folder
from napari_dre_slcl.cohort.left_out import write_left_out
from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.engine.cohort_items import items_of_table
from napari_dre_slcl.engine.embed_tiles import EmbedWork, is_of
from napari_dre_slcl.engine.encoder_snapshot import save_snapshot
from napari_dre_slcl.engine.hand_out import do_all
from napari_dre_slcl.engine.many_slides import Tally, out_folder, split_kept
from napari_dre_slcl.engine.reporter import OnEvent, Reporter, ShouldStop, Stopped
from napari_dre_slcl.engine.slide_work import SlideItem
from napari_dre_slcl.errors import CohortError, ConfigError, JobError, ModelError, SlideError
from napari_dre_slcl.jobs.messages import Cancelled, EmbedJob, Result
from napari_dre_slcl.model.bundle import load_bundle
from napari_dre_slcl.model.seeds import seed_everything
from napari_dre_slcl.model.tile_encoder import TileEncoder
from napari_dre_slcl.untrusted import read_json

__all__ = ["run_embed"]

_SETTINGS = "embedding.json"
_ENCODERS = ".encoder"

_NAME_BYTES = 230
"""Disks take 255; parts, locks and unfinished files have some signs more."""


def run_embed(job: EmbedJob, on_event: OnEvent, should_stop: ShouldStop) -> Result | Cancelled:
    """Write the tile features of many slides; broken ones are named at the end, the rest is done.

    Files of the same encoder that lie in the folder already are kept.

    Raises
    ------
    DreSlclError
        If the encoder, the slides, the folder or the cluster cannot be used, or no slide at all
        could be embedded.
    """
    reporter = Reporter(on_event, should_stop)
    items = _items(job)
    config, encoder = _encoder(job, reporter)
    tally = Tally()
    with out_folder(job.out, reporter) as token:
        sha256 = save_snapshot(encoder, config.encoder, job.out / _ENCODERS)
        origin = FeatureOrigin(
            config.encoder.name, sha256, config.tiling.mpp, config.tiling.tile_px
        )
        del encoder  # each process loads its own
        work = EmbedWork(
            encoders=(job.out / _ENCODERS).absolute(),
            origin=origin,
            input_px=config.encoder.input_px,
            tiling=config.tiling,
            device=job.device,
            part_tiles=job.part_tiles,
            token=token.absolute(),
        )
        _claim(job.out, work, items)
        try:
            left = split_kept(work, items, reporter, tally)
            do_all(work, left, job.cluster, reporter, on_event, tally)
        except Stopped:
            return _cancelled(tally, items)
        finally:
            with suppress(SlideError, OSError):  # the folder has gone; nor must it hide the reason
                write_left_out(job.out, tally.broken)
                update_index(job.out)
    if not tally.done and not tally.kept:
        last = next(reversed(tally.broken.values()))
        raise SlideError(f"None of the {len(items):,} slides could be embedded. {last}")
    figures = {"kept": len(tally.kept), "done": len(tally.done), "tiles": tally.n_tiles}
    return Result(kind="embed", paths=tally.paths(items), metrics=figures, skipped=tally.broken)


def _cancelled(tally: Tally, items: Sequence[SlideItem]) -> Cancelled:
    n_there = len(tally.done) + len(tally.kept)
    return Cancelled(
        message=f"Cancelled with {n_there:,} of {len(items):,} slides done. The same command goes "
        "on from there."
    )


def _items(job: EmbedJob) -> list[SlideItem]:
    if (job.cohort is None) == (job.slides is None):
        raise JobError("Name either a cohort table (--cohort) or a folder of slides (--slides).")

    def output(slide_id: str) -> Path:
        name = f"{slide_id}.h5"
        if len(os.fsencode(name)) > _NAME_BYTES:
            raise CohortError(
                f"The slide_id '{slide_id[:40]}…' is too long for the name of a file. Give a "
                "shorter one."
            )
        return job.out / name

    if job.cohort is not None:
        return items_of_table(job.cohort, output, job.mpp)
    assert job.slides is not None  # or the table was given
    table = table_of_folder(job.slides, "slide")
    sheet = table.sheet
    if "slide" not in sheet.columns:
        raise CohortError(
            f"The folder '{job.slides}' holds no slides ({', '.join(SLIDE_SUFFIXES)}, or DICOM), "
            "only feature files."
        )
    columns = [sheet.columns.index(name) for name in ("slide_id", "slide")]
    rows = [tuple(row[column] for column in columns) for row in sheet.cells[1:]]
    home = sheet.table.parent.absolute()
    return [SlideItem(name, home / path, output(name).absolute(), job.mpp) for name, path in rows]


def _encoder(job: EmbedJob, reporter: Reporter) -> tuple[DreSlclConfig, TileEncoder]:
    """Return the settings and the tile encoder of a model, or one by its name."""
    if job.model is not None:
        if "encoder.name" in job.overrides or "encoder.weights" in job.overrides:
            raise ConfigError("Name a model (--model) or an encoder (--encoder), not both.")
        bundle = load_bundle(job.model)
        encoder = bundle.net.encoder
        if not isinstance(encoder, TileEncoder):
            raise ModelError(
                f"The model '{job.model}' was trained on feature files and holds no tile encoder. "
                "Name the encoder that made the files (--encoder, --weights)."
            )
        return with_overrides(bundle.config, job.overrides), encoder
    config = with_overrides(load_preset(job.preset), job.overrides)
    seed_everything(config.training.seed)
    encoder = TileEncoder(config.encoder)
    for sentence in encoder.get_ready():
        reporter.log(sentence)
    if config.encoder.weights is None and not config.encoder.name.startswith("hf-hub:"):
        reporter.log(
            f"The tile encoder '{config.encoder.name}' has random weights: its features tell "
            "little. Name a file (--weights), or a model (--model).",
            "warning",
        )
    return config, encoder


def _claim(out: Path, work: EmbedWork, items: Sequence[SlideItem]) -> None:
    """Refuse a folder that holds features of another encoder or tiling, else write down which.

    Raises
    ------
    JobError
        So that files of two encoders never lie among each other, and none is written over.
    """
    settings: dict[str, Any] = {
        "encoder": work.origin.encoder,
        "encoder_sha256": work.origin.encoder_sha256,
        "input_px": work.input_px,
        "tiling": work.tiling.model_dump(mode="json"),
    }
    path = out / _SETTINGS
    if path.is_file():
        try:
            earlier = read_json(path)
        except (OSError, ValueError) as error:
            raise JobError(f"'{path}' cannot be read. Choose another --out.") from error
        if earlier != settings:
            other = _difference(earlier, settings)
            raise JobError(
                f"The folder '{out}' holds features of other settings ({other}). Choose another "
                "--out, or empty the folder."
            )
        return
    _refuse_strangers(out, work, items)
    write_json(path, settings)


def _difference(earlier: Any, settings: dict[str, Any]) -> str:
    if not isinstance(earlier, dict):
        return "unknown"
    for name in ("encoder", "input_px"):
        if earlier.get(name) != settings[name]:
            return f"{name} {earlier.get(name)}, not {settings[name]}"
    if earlier.get("encoder_sha256") != settings["encoder_sha256"]:
        return "other weights of the encoder"
    tiling = earlier.get("tiling") or {}
    changed = [name for name, value in settings["tiling"].items() if tiling.get(name) != value]
    return ", ".join(f"tiling.{name}" for name in changed) or "unknown"


def _refuse_strangers(out: Path, work: EmbedWork, items: Sequence[SlideItem]) -> None:
    known = read_index(out)
    for item in items:
        if not item.output.is_file():
            continue
        try:
            row = known.get(item.output.name)
            file = row.file if row is not None else open_features(item.output)
        except SlideError:
            continue  # it cannot be read: it is made anew
        if not is_of(file, work.origin, None):
            raise JobError(
                f"'{item.output}' was made by another encoder or at another resolution. Choose "
                "another --out."
            )
