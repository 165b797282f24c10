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
from napari_dre_slcl.model.bank_generations import BankGenerations, cosine
from napari_dre_slcl.model.bank_shape import Arrays, BankShape
from napari_dre_slcl.model.bank_sums import Assign, add_rows, index_slide, sums_without
from napari_dre_slcl.model.bank_tally import ages_of, bank_summary, tally_rows
from napari_dre_slcl.model.bank_team import ALONE, Team
from napari_dre_slcl.model.residual_sums import ResidualSums

__all__ = ["MemoryBank", "bank_summary"]


class MemoryBank(BankGenerations):
    """Features of all tiles, slide after slide, in one array.

    Of several processes each owns some slides: it alone holds their rows and sums. Slides have the
    same numbers in all of them.

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
        Owned rows with files are held in memory too where they take no more than this.
    dtype : torch.dtype
        Of the stored features.
    momentum : float
        Share of the old feature that a write keeps; 0 overwrites.
    owned : range, optional
        Slides of this process, neighbours; all by default, and perhaps none.
    team : Team
        All processes that share the files; together they own every slide once.

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
        owned: range | None = None,
        team: Team = ALONE,
    ) -> None:
        if any(count < 1 for count in tile_counts):
            empty = next(index for index, count in enumerate(tile_counts) if count < 1)
            raise SlideError(f"Slide number {empty + 1} of the bank has no tiles. Leave it out.")
        self.owned = range(len(tile_counts)) if owned is None else owned
        counts = tuple(int(count) for count in tile_counts)
        shape = BankShape(counts, dim, codewords, dtype, self.owned)
        super().__init__(shape, folder, memory_mib, team)
        held = counts[self.owned.start : self.owned.stop]
        self._starts = torch.tensor([0, *held]).cumsum(0)
        self._momentum = momentum

    def __len__(self) -> int:
        """Return the number of slides."""
        return len(self._shape.tile_counts)

    @property
    def n_tiles(self) -> int:
        """Number of tiles of all slides."""
        return self._shape.n_tiles

    @property
    def dim(self) -> int:
        """Width of a feature."""
        return self._shape.dim

    @property
    def n_bytes(self) -> int:
        """Bytes of a generation of all slides."""
        return self._shape.n_bytes()

    def tile_count(self, slide: int) -> int:
        """Return the number of tiles of a slide."""
        return self._shape.tile_counts[slide]

    def rows(self, slide: int, tiles: Tensor | None = None) -> Tensor:
        """Return the numbers of the rows of an owned slide's tiles; of all by default.

        They mean something in this process alone.
        """
        first, last = self._bounds(slide)
        return torch.arange(first, last) if tiles is None else tiles + first

    def features(self, slide: int, tiles: Tensor | None = None) -> Tensor:
        """Return stored features of an owned slide, never part of a gradient.

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

    def features_of_any(self, slide: int, tiles: Tensor) -> Tensor:
        """Return (n, d) stored features of any slide; those of others as their files have them.

        The files follow with `commit_generation` and `apply`.

        Raises
        ------
        ValueError
            If the slide is not owned and the bank has no files.
        """
        if slide in self.owned and not self._is_as_mapped:
            return self.features(slide, tiles)
        return self._wide(self._of_file("features", slide, tiles))

    def ages_of_any(self, slide: int, step: int) -> Tensor:
        """Return the (n,) number of steps since each tile of any slide was written.

        As of `features_of_any`, with the same error.
        """
        if slide in self.owned:
            return self.ages(step)[self.rows(slide)]
        every = torch.arange(self.tile_count(slide))
        return ages_of(self._of_file("written", slide, every), step)

    def codewords_of(self, slide: int, tiles: Tensor | None = None) -> Tensor:
        """Return the (n,) int64 codeword of some tiles of an owned slide."""
        return self._of_slide("codeword", slide, tiles).long()

    def weights_of(self, slide: int, tiles: Tensor | None = None) -> Tensor:
        """Return the (n,) weight that some tiles of an owned slide had when they were written."""
        return self._wide(self._of_slide("weight", slide, tiles))

    def ages(self, step: int) -> Tensor:
        """Return the number of steps since each row was written, (n_tiles,) where all are owned."""
        return ages_of(self._arrays["written"], step)

    def drifts(self) -> Tensor:
        """Return for each row the cosine of its feature and the one before; 1 at first."""
        return self._arrays["drift"].clone()

    def tally(self, step: int, since: int) -> dict[str, float]:
        """Return sums over owned rows; `bank_summary` makes means of all processes' sums."""
        return tally_rows(self._arrays, step, since)

    def summary(self, step: int, since: int) -> dict[str, float]:
        """Return mean ``drift`` of rows written at ``since`` or later, and mean ``age``."""
        return bank_summary([self.tally(step, since)])

    def stalest(self, n: int) -> list[tuple[int, Tensor]]:
        """Return the n owned tiles written longest ago, as (slide, tiles) in order of slides."""
        rows = self._arrays["written"].sort(stable=True).indices[:n].sort().values
        slides = self._slides_of(rows)
        return [
            (self.owned.start + int(slide), rows[slides == slide] - self._starts[slide])
            for slide in slides.unique().tolist()
        ]

    def missing(self, slide: int) -> Tensor:
        """Return the tiles of an owned slide that the generation being filled lacks."""
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
            Number of an owned slide.
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
        self._fill.store(rows, stored, cosine(old, stored))

    @torch.no_grad()
    def index(self, assign: Assign, codewords: Tensor) -> None:
        """Set codeword and weight of every owned tile, and add up the slides' residual sums.

        Slides with tiles that were never encoded are left out.

        Parameters
        ----------
        assign : callable
            (n, d) features on the CPU to their (n,) codewords and weights.
        codewords : Tensor
            (K, d).
        """
        self._arrays["codewords"].copy_(codewords)
        for slide in self.owned:
            index_slide(self._slide_arrays(slide), assign)
        self._journal.mark_index()

    def sums(self, slide: int) -> ResidualSums:
        """Return the sums over all tiles of an owned slide: residual (K, d), mass, count (K,)."""
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
            (B,) distinct numbers of owned slides.
        rows : Tensor
            (n,) distinct numbers as `rows` returns them, of tiles of these slides.

        Returns
        -------
        ResidualSums
            residual (B, K, d), mass and count (B, K), on the CPU; exact zeros where no tile is
            left. The cost depends on n and B, not on the number of tiles.
        """
        held = slides.long() - self.owned.start
        if len(held) and not 0 <= int(held.min()) <= int(held.max()) < len(self.owned):
            raise ValueError("some of the slides belong to another process")
        part = sums_without(self._arrays, held, rows, self._slides_of(rows))
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
            (n,) distinct numbers as `rows` returns them.
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
        arrays["drift"][rows] = cosine(arrays["features"][rows], stored)
        arrays["features"][rows] = stored
        arrays["codeword"][rows] = codeword.cpu().to(arrays["codeword"].dtype)
        arrays["weight"][rows] = weight.detach().cpu().to(arrays["weight"].dtype)
        arrays["written"][rows] = step
        add_rows(arrays, rows, slides, 1)
        self._journal.mark(rows, slides)

    def _bounds(self, slide: int) -> tuple[int, int]:
        """Return the first row of an owned slide and the one after its last."""
        if slide not in self.owned:
            raise ValueError(f"slide {slide} belongs to another process, not to {self.owned}")
        position = slide - self.owned.start
        return int(self._starts[position]), int(self._starts[position + 1])

    def _of_slide(self, name: str, slide: int, tiles: Tensor | None) -> Tensor:
        first, last = self._bounds(slide)
        stored = self._arrays[name][first:last]
        return stored.clone() if tiles is None else stored[tiles]

    def _of_file(self, name: str, slide: int, tiles: Tensor) -> Tensor:
        if self._files is None:
            raise ValueError(f"slide {slide} belongs to another process, and there are no files")
        first = self._shape.tiles_of(range(slide, slide + 1)).start
        return self._files.rows(self.generation, name, tiles + first)

    def _slide_arrays(self, slide: int) -> Arrays:
        """Return views of an owned slide's part of all arrays."""
        parts = {name: self._shape.part_of_slide(name, slide) for name in self._arrays}
        arrays = {name: self._arrays[name][part.start : part.stop] for name, part in parts.items()}
        if self._is_as_mapped:
            every = torch.arange(self.tile_count(slide))
            arrays["features"] = self._of_file("features", slide, every)
        return arrays

    def _wide(self, stored: Tensor) -> Tensor:
        return stored.to(torch.float64 if self._shape.dtype == torch.float64 else torch.float32)

    def _stored(self, features: Tensor) -> Tensor:
        unit = torch.nn.functional.normalize(features.detach().cpu().double(), dim=1)
        return unit.to(self._shape.dtype)

    def _slides_of(self, rows: Tensor) -> Tensor:
        return torch.searchsorted(self._starts, rows, right=True) - 1
