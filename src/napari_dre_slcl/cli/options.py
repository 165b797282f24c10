"""Options that several commands have, so that they are called and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "Device", "Mpp", "Overrides", "Preset", "PseudonymKey", "Pseudonymize"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON lines instead of bars.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Mpp = Annotated[
    float | None,
    typer.Option(min=0.1, max=10, help="Pixel size in µm; wins over what the slides state."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; may be repeated."),
]
Preset = Annotated[str, typer.Option(help="Settings to start from; see 'presets'.")]
PseudonymKey = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Key of the pseudonyms; made in your own folder by default."),
]
Pseudonymize = Annotated[
    bool,
    typer.Option(
        "--pseudonymize", help="Put keyed hashes in the place of slides' and patients' names."
    ),
]
