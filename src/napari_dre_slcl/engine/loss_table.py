"""``losses.csv`` of a run folder: one line for each step, cut back to the checkpoint on resume."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_dre_slcl.atomic_file import flush_folder, flush_stream, open_in_place

__all__ = ["LossTable"]


class LossTable:
    """Appends a line per step; a line is in the file as soon as `add` returns.

    Parameters
    ----------
    path : Path
        The file. Lines of later steps than ``last_step`` are cut off, as well as half a line.
    columns : sequence of str
        Names of the losses.
    last_step : int
        The last step that the run has taken.
    """

    def __init__(self, path: Path, columns: Sequence[str], last_step: int = 0) -> None:
        self._columns = tuple(columns)
        kept = _lines_up_to(path, last_step)
        self._stream = open_in_place(path)
        flush_folder(path.parent)
        if not kept:
            header = ",".join(("step", "epoch", *self._columns)) + "\n"
            self._stream.truncate(0)
            self._write(header)
        else:
            self._stream.truncate(kept)
        self._stream.seek(0, os.SEEK_END)

    def add(self, step: int, epoch: int, losses: Mapping[str, float]) -> None:
        """Write the losses of a step; a loss that it did not have stays empty."""
        values = [repr(losses[name]) if name in losses else "" for name in self._columns]
        self._write(",".join((str(step), str(epoch), *values)) + "\n")

    def flush(self) -> None:
        """Make the lines durable."""
        flush_stream(self._stream)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _write(self, line: str) -> None:
        rest = line.encode()
        while rest:  # a nearly full disk takes a part first, and refuses the rest
            rest = rest[self._stream.write(rest) :]


def _lines_up_to(path: Path, last_step: int) -> int:
    """Return the length in bytes of the header and the whole lines up to a step."""
    if not path.exists():
        return 0
    length = 0
    with path.open("rb") as stream:
        for number, line in enumerate(stream):
            step = line.split(b",", 1)[0]
            is_step = step.isdigit() and int(step) <= last_step
            if not line.endswith(b"\n") or (number and not is_step):
                break
            length += len(line)
    return length
