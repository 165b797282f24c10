"""From which step a training went on, and from which it should have."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["first_step", "newest_step"]


def newest_step(run: Path) -> int:
    """Return the last step that the newest whole checkpoint of a run holds; 0 without one."""
    states = [json.loads(path.read_bytes()) for path in run.glob("checkpoints/[!.]*/state.json")]
    return int(max(states, key=lambda state: state["serial"])["step"]) if states else 0


def first_step(said: str) -> int | None:
    """Return from which step on a training trained, by what it said; None where it did not."""
    for line in said.splitlines():
        if line.startswith('{"event":"progress"') and '"Training"' in line:
            told = json.loads(line)
            if told["stage"] == "Training":
                return int(told["done"])
    return None
