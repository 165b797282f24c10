"""``dre-slcl plan``: what a training of any size takes, from costs measured on a machine."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_dre_slcl.cli.options import Overrides, Preset
from napari_dre_slcl.errors import ConfigError, DreSlclError

if TYPE_CHECKING:
    from napari_dre_slcl.config import DreSlclConfig
    from napari_dre_slcl.engine.cost_scale import Scale
    from napari_dre_slcl.engine.cost_store import Costs

__all__ = ["register"]


_Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
_Width = Annotated[
    int | None,
    typer.Option(min=1, max=2**16, help="Train on stored features of this width, not on pixels."),
]
_Speed = Annotated[
    float | None,
    typer.Option(min=0.001, max=10**5, help="Speed of the network between processes, in Gbit/s."),
]


def register(app: typer.Typer) -> None:
    """Add the command ``plan`` to an application."""
    app.command()(plan)


def plan(
    slides: Annotated[
        int | None, typer.Option(min=1, max=10**9, help="Slides of the cohort.")
    ] = None,
    tiles: Annotated[
        int | None, typer.Option(min=1, max=10**7, help="Tiles of a slide, on average.")
    ] = None,
    val_share: Annotated[
        float | None,
        typer.Option(min=0, max=0.9, help="Share of the slides that validate; as set by default."),
    ] = None,
    test_share: Annotated[
        float | None,
        typer.Option(min=0, max=0.9, help="Share of the slides that test; as set by default."),
    ] = None,
    classes: Annotated[
        int, typer.Option(min=1, max=10**4, help="Classes of all tasks together.")
    ] = 4,
    devices: Annotated[int, typer.Option(min=1, max=256, help="Processes per machine.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, max=4096, help="Machines.")] = 1,
    preset: Preset = "default",
    overrides: Overrides = None,
    feature_dim: _Width = None,
    network_gbit: _Speed = None,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Run a few small trainings first, to measure this machine."),
    ] = False,
    costs: Annotated[
        Path | None,
        typer.Option(help="File of measured costs; your own folder has one per preset by default."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Say what a training of any size takes: time, memory, disk and network, part by part."""
    from napari_dre_slcl.cli.jobs import parse_overrides
    from napari_dre_slcl.config import load_preset, with_overrides
    from napari_dre_slcl.engine.cost_store import costs_file

    changes = parse_overrides(overrides or [])
    config = with_overrides(load_preset(preset), changes)
    file = costs or costs_file(preset, feature_dim)
    if not measure and (slides is None or tiles is None):
        raise ConfigError("A plan needs --slides and --tiles. --measure alone measures only.")
    known, why_not = (
        (_measure(preset, changes, feature_dim, config, file), "")
        if measure
        else _kept(file, config, feature_dim, is_asked_for=costs is not None)
    )
    if slides is None or tiles is None:
        return
    val, test = _shares(config, val_share, test_share)
    size = _Size(slides, tiles, val, test, classes, devices * nodes)
    scale = _scale(size, config, feature_dim)
    figures = _figures(scale, known, network_gbit)
    if as_json:
        _print_json(figures)
    else:
        _print(scale, figures, config)
        _say_source(known, why_not, _options(preset, overrides or [], feature_dim))


def _shares(
    config: DreSlclConfig, val_share: float | None, test_share: float | None
) -> tuple[float, float]:
    """Return the shares of slides that validate and that test."""
    test = config.cohort.test_fraction if test_share is None else test_share
    return config.cohort.val_fraction * (1 - test) if val_share is None else val_share, test


def _print_json(figures: dict[str, Any]) -> None:
    from napari_dre_slcl.cli.console import print_json

    print_json(json.dumps(figures))


@dataclass(frozen=True, slots=True)
class _Size:
    slides: int
    tiles: int
    val_share: float
    test_share: float
    classes: int
    ranks: int

    def splits(self) -> tuple[int, int, int]:
        val, test = (round(share * self.slides) for share in (self.val_share, self.test_share))
        train = self.slides - val - test
        if train < 1:
            raise ConfigError(
                f"Shares of {self.val_share:.2g} to validate and {self.test_share:.2g} to test "
                f"leave none of {self.slides:,} slides to train on. Lower --val-share or "
                "--test-share."
            )
        return train, val, test


def _measure(
    preset: str,
    changes: dict[str, str],
    feature_dim: int | None,
    config: DreSlclConfig,
    file: Path,
) -> Costs:
    from napari_dre_slcl.cli.console import say, status
    from napari_dre_slcl.engine.cost_measure import Subject, measure_costs
    from napari_dre_slcl.engine.cost_store import write_costs
    from napari_dre_slcl.engine.device import choose_device

    def tell(done: int, n: int) -> None:
        if done < n:
            status().print(f"Measuring this machine: training {done + 1} of {n}")

    device = choose_device(config.training.device).type
    fitted, _ = measure_costs(Subject(preset, dict(changes), feature_dim), tell)
    known = write_costs(file, fitted, config, feature_dim, device)
    say(f"Measured costs: {file}")
    return known


def _kept(
    file: Path, config: DreSlclConfig, feature_dim: int | None, *, is_asked_for: bool
) -> tuple[Costs | None, str]:
    """Return the costs of a file; or why it has none of this plan, unless it was asked for."""
    from napari_dre_slcl.engine.cost_store import read_costs

    if not is_asked_for and not file.is_file():
        return None, f"'{file}' does not exist."
    try:
        known = read_costs(file)
        known.check(config, feature_dim)
    except DreSlclError as error:
        if is_asked_for:
            raise
        return None, str(error)
    return known, ""


def _options(preset: str, overrides: list[str], feature_dim: int | None) -> str:
    """Return the options of this plan that a measurement has to have as well."""
    width = [] if feature_dim is None else ["--feature-dim", str(feature_dim)]
    changed = [part for pair in overrides for part in ("--set", pair)]
    return shlex.join(["--preset", preset, *width, *changed])


def _scale(size: _Size, config: DreSlclConfig, feature_dim: int | None) -> Scale:
    from napari_dre_slcl.engine.cost_measure import network_size
    from napari_dre_slcl.engine.cost_scale import Scale

    splits = size.splits()
    network = network_size(config, feature_dim, size.classes, splits[0])
    return Scale.of(config, splits, size.tiles, network, size.ranks)


def _figures(scale: Scale, known: Costs | None, gbit: float | None) -> dict[str, Any]:
    from napari_dre_slcl.engine.cost_bytes import disk_bytes, memory_bytes, network_bytes
    from napari_dre_slcl.engine.cost_model import seconds_of

    sent = network_bytes(scale)
    seconds = seconds_of(scale, known.seconds) if known else {}
    if gbit is not None and sent:
        per_step = sum(sent.values()) * 8 / (gbit * 1e9)
        seconds["network"] = per_step * scale.steps * scale.epochs
    return {
        "seconds": seconds,
        "bytes/memory": memory_bytes(scale, known.memory if known else {}),
        "bytes/disk": disk_bytes(scale),
        "bytes/sent in a step": sent,
        "steps": scale.steps * scale.epochs,
        "tiles": scale.slides * scale.tiles,
        "processes": scale.ranks,
    }


_TITLES = {
    "seconds": "Time, of the busiest process",
    "bytes/memory": "Memory of a process, at most",
    "bytes/disk": "Disk",
    "bytes/sent in a step": "Sent by each process in a step",
}


def _print(scale: Scale, figures: dict[str, Any], config: DreSlclConfig) -> None:
    from rich.table import Table

    from napari_dre_slcl.cli.console import output, say
    from napari_dre_slcl.engine.amounts import bytes_text, duration_text

    say(
        f"{scale.slides:,} slides with {scale.slides * scale.tiles:,.0f} tiles; "
        f"{scale.train_slides:,} train, {scale.val_slides:,} validate, {scale.test_slides:,} test; "
        f"{scale.epochs} epochs of {scale.steps:,} steps; processes: {scale.ranks}"
    )
    for key, title in _TITLES.items():
        parts: dict[str, float] = figures[key]
        if not parts:
            continue
        text = duration_text if key == "seconds" else bytes_text
        table = Table(title, "", "")
        whole = sum(parts.values())
        for name, value in sorted(parts.items(), key=lambda part: -part[1]):
            table.add_row(name, text(value), f"{value / whole:.0%}")
        table.add_section()
        table.add_row("all", text(whole), "")
        output().print(table)
    if config.pretrain.epochs:
        say("Pretraining is not in the plan; 'dre-slcl train --estimate' counts it.")


def _say_source(known: Costs | None, why_not: str, options: str) -> None:
    from napari_dre_slcl.cli.console import say

    if known is None:
        say(
            f"Time, and memory that has to be measured, are left out: {why_not} Run 'dre-slcl plan "
            f"--measure {options}' on a machine of the kind that will train."
        )
        return
    say(
        f"Measured on '{known.machine}' ({known.device}) at {known.measured}, version "
        f"{known.version}. Slides were generated ones; yours may take longer to read."
    )
