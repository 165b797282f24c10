"""Follow a run by its folder: the events that its process writes, as they come.

Knows no engine and no window; a run may be of this machine or lie on a shared disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.jobs.messages import parse_event

__all__ = ["EventTail"]

_MOST_BYTES = 2**24


class EventTail:
    """Reads ``events.jsonl`` from where it left off; safe while another process writes.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    last_bytes : int, optional
        Begin so far before the end of the file; from its beginning by default.
    """

    def __init__(self, run_dir: Path, last_bytes: int | None = None) -> None:
        self._path = run_dir / "events.jsonl"
        self._last_bytes = last_bytes
        self._place = 0
        self._is_cut = False

    def read(self) -> list[Any]:
        """Return the events that have come since the last call, in order.

        A line that is not whole yet waits for the next call. Lines of another version are passed
        over. A file that is missing, or cannot be read, has no events.
        """
        try:
            with self._path.open("rb") as stream:
                text = self._read_on(stream)
        except OSError:
            return []
        lines = text.split(b"\n")[1:] if self._is_cut else text.split(b"\n")
        self._is_cut = False
        return [event for line in lines if line and (event := _event_of(line)) is not None]

    def _read_on(self, stream: Any) -> bytes:
        size = stream.seek(0, 2)
        if size < self._place:  # somebody has begun the file anew
            self._place = 0
        if self._last_bytes is not None:
            self._place = max(0, size - self._last_bytes)
            self._is_cut = self._place > 0
            self._last_bytes = None
        stream.seek(self._place)
        text = bytes(stream.read(_MOST_BYTES))
        whole = text[: text.rfind(b"\n") + 1]
        self._place += len(whole)
        return whole


def _event_of(line: bytes) -> Any:
    try:
        return parse_event(line.decode("utf-8", errors="replace"))
    except DreSlclError:
        return None
