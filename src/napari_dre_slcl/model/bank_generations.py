"""Complete encodings of all tiles, one after another, and what changed since the last checkpoint.

Of several processes each holds the rows of its own slides, in files that all share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from napari_dre_slcl.model.bank_files import BankFiles
from napari_dre_slcl.model.bank_fill import BankFill
from napari_dre_slcl.model.bank_journal import BankJournal
from napari_dre_slcl.model.bank_rows import HeldRows
from napari_dre_slcl.model.bank_shape import Arrays, BankShape, new_arrays
from napari_dre_slcl.model.bank_team import Team
from napari_dre_slcl.model.bank_together import together

__all__ = ["BankGenerations", "cosine"]

Changes = Mapping[str, Tensor]


class BankGenerations:
    """The arrays of a bank, and their files.

    Parameters
    ----------
    shape : BankShape
        Of the whole bank, and which slides this process holds.
    folder : Path, optional
        Where the files are, or will be; none keeps the arrays in memory only.
    memory_mib : int
        Arrays with files are held in memory too where they take no more than this.
    team : Team
        All processes of this bank.

    Attributes
    ----------
    generation : int
        Number of the current one, 0 before the first.
    """

    def __init__(self, shape: BankShape, folder: Path | None, memory_mib: int, team: Team) -> None:
        self._shape = shape
        self._team = team
        self._tiles = shape.tiles_of(shape.owned)
        self._journal = BankJournal(self._tiles, shape.owned)
        self._files = BankFiles(folder, shape, memory_mib) if folder is not None else None
        self._current: Arrays | None = None
        self._fill: BankFill | None = None
        self.generation = 0
        if self._files is not None and (kept := self._files.kept()):
            self._open(kept[-1])

    @property
    def is_full(self) -> bool:
        """Whether a generation is current and has every tile of the owned slides."""
        return self._current is not None and bool(self._current["filled"].all())

    def begin_generation(self, tag: str, step: int = 0) -> None:
        """Begin to encode every tile anew, or go on where that was broken off.

        The generation before stays current until `commit_generation`, and on disk until the next
        `apply`. A bank in memory alone is filled in place. All processes call it.

        Parameters
        ----------
        tag : str
            What the new features are made with. A generation begun with the same tag is taken up
            again; one with another tag is thrown away.
        step : int
            Counts as the time of writing.

        Raises
        ------
        JobError
            If the disk has no room.
        """
        number = self.generation + 1
        if self._files is None:
            self._arrays["filled"].zero_()
            self._fill = BankFill(number, HeldRows(self._arrays), step)
            return
        with together(self._team):
            if self._team.rank == 0:
                self._files.begin(tag, number)
        with together(self._team):
            self._fill = BankFill(number, self._files.writable(number), step)

    def commit_generation(self) -> None:
        """Make the filled generation the current one; `index` it next. All processes call it.

        Until the next `apply`, a bank that is opened anew knows it as one that is being filled.
        """
        if self._fill is None:
            return
        number, fill = self._fill.number, self._fill
        if self._files is None:
            fill.flush()
            self._journal.clear()
            self.generation = number
        else:
            with together(self._team):
                fill.flush()
            with together(self._team):
                self._open(number)
        self._fill = None

    def changes(self) -> dict[str, Tensor]:
        """Return what changed here since the last `apply`, for the checkpoint."""
        return {
            "generation": torch.tensor([self.generation]),
            **self._journal.collect(self._arrays),
        }

    def concerns(self, changes: Changes) -> bool:
        """Return whether changes, of which ``span`` is enough, may be of owned slides."""
        return self._journal.concerns(changes)

    def apply(self, changes: Changes | Sequence[Changes]) -> None:
        """Write changes into the bank, and durably into its files; older generations go.

        Call it in all processes once the checkpoint that holds the changes is safe on disk, and
        with all changes of that checkpoint when a run goes on; more than once is as good as once.

        Parameters
        ----------
        changes : mapping of str to Tensor, or several
            As `changes` returned them, here or in other processes, of one generation. What is of
            slides that this process does not own is passed over.

        Raises
        ------
        JobError
            If the files of their generation are missing.
        """
        several = [changes] if isinstance(changes, Mapping) else list(changes)
        number = int(several[0]["generation"])
        parts = [part for part in several if self.concerns(part)]
        if self._files is None:
            self._redo(HeldRows(self._arrays), parts)
            self._journal.clear()
            return
        with together(self._team):
            rows = self._files.writable(number)
            rows.flush(*self._redo(rows, parts))
            del rows
        with together(self._team):
            self._follow(number, parts)
            if self._team.rank == 0:
                self._files.keep(number)

    def close(self) -> None:
        """Let go of the files; what was not applied is lost."""
        if self._fill is not None:
            self._fill.flush()
        self._fill = None
        if self._files is not None:
            self._current = None

    @property
    def _arrays(self) -> Arrays:
        if self._current is None and self._files is None:
            # Not before: one that is asked for its size alone may be larger than the memory.
            self._current = new_arrays(self._shape)
        if self._current is None:
            raise ValueError("the bank holds no complete generation yet")
        return self._current

    @property
    def _is_as_mapped(self) -> bool:
        """Whether all features are in files too large to hold.

        Then read them there: a map that stays open counts what was ever read as resident memory.
        """
        in_memory = self._files is None or self._files.is_in_memory
        return not in_memory and not self._journal.has_rows

    def _redo(self, rows: HeldRows, parts: Sequence[Changes]) -> list[str]:
        return sorted({name for part in parts for name in self._journal.redo(rows, part)})

    def _follow(self, number: int, parts: Sequence[Changes]) -> None:
        """Bring the arrays at hand to where the files are."""
        assert self._files is not None
        if number == self.generation and self._files.is_in_memory:
            self._redo(HeldRows(self._arrays), parts)
            self._journal.clear()
        else:
            self._open(number)

    def _open(self, number: int) -> None:
        assert self._files is not None
        self._current = None  # lets go of the old views first
        self._current = self._files.read(number)
        self.generation = number
        self._journal.clear()


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Return the (n,) cosines of (n, d) rows, float32."""
    return torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=1).float()
