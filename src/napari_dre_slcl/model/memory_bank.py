"""The memory bank: one unit feature for every tile of every slide, and residual sums kept current.

A step takes its fresh tiles out of a slide's sums and puts them back renewed, so its cost does not
grow with the slide (METHOD, "Dynamic residual sums"). A row counts as it is stored: rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.model.bank_files import Arrays, BankFiles, BankShape, new_arrays
from napari_dre_slcl.model.bank_fill import BankFill
from napari_dre_slcl.model.bank_journal import BankJournal
from napari_dre_slcl.model.bank_sums import Assign, add_rows, index_slide, sums_without
from napari_dre_slcl.model.residual_sums import ResidualSums

__all__ = ["MemoryBank"]


class MemoryBank:
    """Features of all tiles, slide after slide, in one array.

    Parameters
    ----------
    tile_counts : sequence of int
        Number of tiles of each slide.
    dim : int
        Width d of a feature.
    codewords : int
        K.
    folder : Path, optional
        Where the bank's files are, or will be; none keeps the bank in memory only. What is there
        is opened. The files hold nothing newer than the last `apply`.
    memory_mib : int
        A bank with files is held in memory too where it takes no more than this.
    dtype : torch.dtype
        Of the stored features.
    momentum : float
        Share of the old feature that a write keeps; 0 overwrites.

    Raises
    ------
    SlideError
        If a slide has no tiles.
    JobError
        If the folder holds the bank of another cohort, encoder or codebook.
    """

    def __init__(
        self,
        tile_counts: Sequence[int],
        dim: int,
        codewords: int,
        *,
        folder: Path | None = None,
        memory_mib: int = 4096,
        dtype: torch.dtype = torch.float16,
        momentum: float = 0.0,
    ) -> None:
        if any(count < 1 for count in tile_counts):
            empty = next(index for index, count in enumerate(tile_counts) if count < 1)
            raise SlideError(f"Slide number {empty + 1} of the bank has no tiles. Leave it out.")
        self._shape = BankShape(tuple(int(n) for n in tile_counts), dim, codewords, dtype)
        self._starts = torch.tensor([0, *self._shape.tile_counts]).cumsum(0)
        self._momentum = momentum
        self._journal = BankJournal(self.n_tiles, len(self))
        self._files = BankFiles(folder, self._shape, memory_mib) if folder is not None else None
        self._current: Arrays | None = None
        self._fill: BankFill | None = None
        self.generation = 0
        if self._files is None:
            self._current = new_arrays(self._shape)
        elif kept := self._files.kept():
            self._open(kept[-1])

    def __len__(self) -> int:
        """Return the number of slides."""
        return len(self._shape.tile_counts)

    @property
    def n_tiles(self) -> int:
        """Number of tiles of all slides."""
        return int(self._starts[-1])

    @property
    def dim(self) -> int:
        """Width of a feature."""
        return self._shape.dim

    @property
    def n_bytes(self) -> int:
        """Bytes of a generation, on disk or in memory."""
        return self._shape.n_bytes()

    @property
    def is_full(self) -> bool:
        """Whether a generation is current and every tile of it has been encoded."""
        return self._current is not None and bool(self._current["filled"].all())

    def tile_count(self, slide: int) -> int:
        """Return the number of tiles of a slide."""
        return self._shape.tile_counts[slide]

    def rows(self, slide: int, tiles: Tensor | None = None) -> Tensor:
        """Return the numbers in the whole bank of some tiles of a slide; all by default."""
        start = int(self._starts[slide])
        if tiles is None:
            return torch.arange(start, start + self.tile_count(slide))
        return tiles + start

    def features(self, slide: int, tiles: Tensor | None = None) -> Tensor:
        """Return stored features of a slide, never part of a gradient.

        Parameters
        ----------
        slide : int
            Number of the slide.
        tiles : Tensor, optional
            (n,) tile numbers; all by default.

        Returns
        -------
        Tensor
            (n, d) unit rows on the CPU, float32 (float64 where the bank is).
        """
        return self._wide(self._of_slide("features", slide, tiles))

    def codewords_of(self, slide: int, tiles: Tensor | None = None) -> Tensor:
        """Return the (n,) int64 codeword of some tiles of a slide."""
        return self._of_slide("codeword", slide, tiles).long()

    def weights_of(self, slide: int, tiles: Tensor | None = None) -> Tensor:
        """Return the (n,) weight that some tiles of a slide had when they were written."""
        return self._wide(self._of_slide("weight", slide, tiles))

    def ages(self, step: int) -> Tensor:
        """Return the (n_tiles,) number of steps since each tile was written."""
        return step - self._arrays["written"].long()

    def drifts(self) -> Tensor:
        """Return for each tile the cosine of its feature and the one before; 1 at first."""
        return self._arrays["drift"].clone()

    def summary(self, step: int, since: int) -> dict[str, float]:
        """Return mean ``drift`` of tiles written at ``since`` or later, and mean ``age``."""
        written, drift = self._arrays["written"], self._arrays["drift"]
        recent = drift[written >= since]
        return {
            "drift": float(recent.double().mean()) if len(recent) else 1.0,
            "age": step - float(written.double().mean()),
        }

    def stalest(self, n: int) -> list[tuple[int, Tensor]]:
        """Return the n tiles written longest ago, as (slide, tiles) in order of the slides."""
        rows = self._arrays["written"].sort(stable=True).indices[:n].sort().values
        slides = self._slides_of(rows)
        return [
            (int(slide), rows[slides == slide] - self._starts[slide])
            for slide in slides.unique().tolist()
        ]

    def begin_generation(self, tag: str, step: int = 0) -> None:
        """Begin to encode every tile anew, or go on where that was broken off.

        The generation before stays current until `commit_generation`, and on disk until the next
        `apply`. A bank in memory alone is filled in place.

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
        if self._files is None:
            self._arrays["filled"].zero_()
            self._fill = BankFill(self.generation + 1, self._arrays, step)
            return
        number = self._files.begin(tag, self.generation)
        arrays, flush = self._files.writable(number)
        self._fill = BankFill(number, arrays, step, flush)

    def missing(self, slide: int) -> Tensor:
        """Return the tiles of a slide that the generation being filled lacks."""
        rows = self.rows(slide)
        is_filled = self._fill.is_filled(rows) if self._fill else self._arrays["filled"][rows] > 0
        return (~is_filled).nonzero().squeeze(1)

    @torch.no_grad()
    def fill(self, slide: int, tiles: Tensor, features: Tensor) -> None:
        """Store the features of some tiles in the generation being filled.

        They go straight to its files; that they are there is noted after they are. A fill that
        was killed loses the last two seconds.

        Parameters
        ----------
        slide : int
            Number of the slide.
        tiles : Tensor
            (n,) distinct tile numbers.
        features : Tensor
            (n, d); detached and normalised here.
        """
        if self._fill is None:
            self.begin_generation("")
        assert self._fill is not None
        rows, stored = self.rows(slide, tiles), self._stored(features)
        old = self._arrays["features"][rows] if self.generation else stored
        self._fill.store(rows, stored, _cosine(old, stored))

    def commit_generation(self) -> None:
        """Make the filled generation the current one; `index` it next.

        Until the next `apply`, a bank that is opened anew knows it as one that is being filled.
        """
        if self._fill is None:
            return
        self._fill.flush()
        number, self._fill = self._fill.number, None
        if self._files is None:
            self._journal.clear()
            self.generation = number
        else:
            self._open(number)

    @torch.no_grad()
    def index(self, assign: Assign, codewords: Tensor) -> None:
        """Set codeword and weight of every tile, and add up the residual sums of every slide.

        Slides with tiles that were never encoded are left out.

        Parameters
        ----------
        assign : callable
            (n, d) features on the CPU to their (n,) codewords and weights.
        codewords : Tensor
            (K, d).
        """
        self._arrays["codewords"].copy_(codewords)
        for slide in range(len(self)):
            index_slide(self._arrays, slide, self.rows(slide), assign)
        self._journal.mark_index()

    def sums(self, slide: int) -> ResidualSums:
        """Return the residual sums over all tiles of a slide: residual (K, d), mass, count (K,)."""
        return self.without(slide, torch.empty(0, dtype=torch.int64))

    def without(self, slide: int, tiles: Tensor) -> ResidualSums:
        """Return the residual sums over all tiles of a slide but these (n,) ones."""
        return self.without_rows(torch.tensor([slide]), self.rows(slide, tiles)).slide(0)

    @torch.no_grad()
    def without_rows(self, slides: Tensor, rows: Tensor) -> ResidualSums:
        """Return the residual sums of B slides without some of their tiles.

        Parameters
        ----------
        slides : Tensor
            (B,) distinct slide numbers.
        rows : Tensor
            (n,) distinct numbers in the whole bank, of tiles of these slides.

        Returns
        -------
        ResidualSums
            residual (B, K, d), mass and count (B, K), on the CPU; exact zeros where no tile is
            left. The cost depends on n and B, not on the number of tiles.
        """
        part = sums_without(self._arrays, slides, rows, self._slides_of(rows))
        residual, mass, count = part["residual"], part["mass"], part["count"]
        return ResidualSums(self._wide(residual), self._wide(mass), self._wide(count))

    @torch.no_grad()
    def blended(self, rows: Tensor, features: Tensor) -> Tensor:
        """Return (n, d) fresh features as `write_rows` is to store them: blended, unit, rounded."""
        fresh = features.detach().cpu().double()
        if self._momentum:
            old = self._arrays["features"][rows].double()
            fresh = self._momentum * old + (1 - self._momentum) * fresh
        return self._wide(self._stored(fresh))

    @torch.no_grad()
    def write_rows(
        self, rows: Tensor, features: Tensor, codeword: Tensor, weight: Tensor, step: int
    ) -> None:
        """Renew some tiles: feature, codeword, weight, drift, time, and the sums of their slides.

        Parameters
        ----------
        rows : Tensor
            (n,) distinct numbers in the whole bank.
        features : Tensor
            (n, d) as `blended` returns them.
        codeword, weight : Tensor
            (n,) of these features.
        step : int
            The time.
        """
        arrays, slides = self._arrays, self._slides_of(rows)
        add_rows(arrays, rows, slides, -1)
        stored = features.detach().cpu().to(self._shape.dtype)
        arrays["drift"][rows] = _cosine(arrays["features"][rows], stored)
        arrays["features"][rows] = stored
        arrays["codeword"][rows] = codeword.cpu().to(arrays["codeword"].dtype)
        arrays["weight"][rows] = weight.detach().cpu().to(arrays["weight"].dtype)
        arrays["written"][rows] = step
        add_rows(arrays, rows, slides, 1)
        self._journal.mark(rows, slides)

    def changes(self) -> dict[str, Tensor]:
        """Return what changed since the last `apply`, for the checkpoint."""
        return {
            "generation": torch.tensor([self.generation]),
            **self._journal.collect(self._arrays),
        }

    def apply(self, changes: dict[str, Tensor]) -> None:
        """Write changes into the bank, and durably into its files; older generations go.

        Call it once the checkpoint that holds them is safe on disk, and with that checkpoint's
        changes when a run goes on; more than once is as good as once.

        Parameters
        ----------
        changes : dict of str to Tensor
            As `changes` returned them.

        Raises
        ------
        JobError
            If the files of their generation are missing.
        """
        if self._files is None:
            self._journal.redo(self._arrays, changes)
            self._journal.clear()
            return
        number = int(changes["generation"])
        arrays, flush = self._files.writable(number)
        flush(*self._journal.redo(arrays, changes))
        del arrays, flush
        if number == self.generation and self._files.is_in_memory:
            self._journal.redo(self._arrays, changes)
            self._journal.clear()
        else:
            self._open(number)
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
        if self._current is None:
            raise ValueError("the bank holds no complete generation yet")
        return self._current

    def _open(self, number: int) -> None:
        assert self._files is not None
        self._current = None  # lets go of the old views first
        self._current = self._files.read(number)
        self.generation = number
        self._journal.clear()

    def _of_slide(self, name: str, slide: int, tiles: Tensor | None) -> Tensor:
        start, stop = int(self._starts[slide]), int(self._starts[slide + 1])
        stored = self._arrays[name][start:stop]
        return stored.clone() if tiles is None else stored[tiles]

    def _wide(self, stored: Tensor) -> Tensor:
        return stored.to(torch.float64 if self._shape.dtype == torch.float64 else torch.float32)

    def _stored(self, features: Tensor) -> Tensor:
        unit = torch.nn.functional.normalize(features.detach().cpu().double(), dim=1)
        return unit.to(self._shape.dtype)

    def _slides_of(self, rows: Tensor) -> Tensor:
        return torch.searchsorted(self._starts, rows, right=True) - 1


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    return torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=1).float()
