"""Open what holds the tiles of a cohort's slides: slide files, or feature files in their place."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.cohort.feature_store import feature_file
from napari_dre_slcl.cohort.open_feature_files import open_feature_files
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.broken_slides import BrokenSlides
from napari_dre_slcl.engine.damage import left_out_warning
from napari_dre_slcl.engine.feature_source import FeatureSource, tile_count
from napari_dre_slcl.engine.findings import warn_of_findings
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.shared_grids import find_grids
from napari_dre_slcl.engine.world import SOLO, World
from napari_dre_slcl.errors import CohortError, SlideError
from napari_dre_slcl.slide import Slide, SlidePool, open_slide
from napari_dre_slcl.slide.proof import prove_ahead
from napari_dre_slcl.slide.remote import is_remote
from napari_dre_slcl.tiles import TileSource

__all__ = ["open_sources"]


def open_sources(
    cohort: Cohort,
    config: DreSlclConfig,
    reporter: Reporter,
    world: World = SOLO,
    broken: BrokenSlides | None = None,
) -> tuple[TileSource, ...] | tuple[FeatureSource, ...]:
    """Open the slides of a cohort and find their tiles, or look at their feature files.

    Feature files are those of the folder ``features.folder``; else those that the table names,
    where it names one for every slide and no slide file.

    Parameters
    ----------
    cohort : Cohort
        The table.
    config : DreSlclConfig
        Settings of features and tiles.
    reporter : Reporter
        Told the progress, and what looks odd.
    world : World
        The processes of a training: each opens all slides and finds the tissue of its share.
    broken : BrokenSlides, optional
        Told of the slide files that cannot be used, which it may let pass. A slide that one process
        cannot use is left out in all. Without it the first is refused.

    Returns
    -------
    tuple of TileSource or of FeatureSource
        In the order of the table, without the broken ones; whoever asked closes the slides.

    Raises
    ------
    CohortError, SlideError
        If a slide or a feature file is missing or cannot be used and may not be left out; in all
        processes.
    JobError
        If only another process cannot use it.
    """
    folder = config.features.folder
    if folder is not None:
        return world.all_do(lambda: _find_features(cohort, folder, reporter))
    if cohort.is_from_features:
        return world.all_do(lambda: _listed_features(cohort, reporter))
    return _tile_all(cohort, config, reporter, world, broken or BrokenSlides(cohort))


def _find_features(cohort: Cohort, folder: Path, reporter: Reporter) -> tuple[FeatureSource, ...]:
    """Find the feature file of every slide, by its slide_id or the name of its file."""
    if not is_remote(folder) and not folder.is_dir():
        raise CohortError(f"The folder of feature files '{folder}' does not exist.")
    paths: list[Path] = []
    missing: list[str] = []
    for row in cohort.rows:
        path = feature_file(folder, [row.slide_id, *([row.path.stem] if row.path else [])])
        if path is None:
            missing.append(row.slide_id)
        else:
            paths.append(path)
    if missing:
        raise CohortError(
            f"The folder '{folder}' has no feature file for {len(missing):,} of {len(cohort):,} "
            f"slides, the first is '{missing[0]}.h5'. Add the files, or leave these slides out of "
            "the cohort table."
        )
    return _opened(paths, [row.path for row in cohort.rows], reporter)


def _listed_features(cohort: Cohort, reporter: Reporter) -> tuple[FeatureSource, ...]:
    """Open the feature file that the table names for every slide."""
    paths: list[Path] = []
    for row in cohort.rows:
        if row.features is None:
            raise CohortError(f"Slide '{row.slide_id}' of '{cohort.table}' names no features.")
        paths.append(row.features)
    return _opened(paths, [None] * len(paths), reporter)


def _opened(
    paths: Sequence[Path], slides: Sequence[Path | None], reporter: Reporter
) -> tuple[FeatureSource, ...]:
    files = open_feature_files(
        paths, lambda done, total: reporter.progress("Finding features", done, total)
    )
    sources = tuple(FeatureSource(file, slide) for file, slide in zip(files, slides, strict=True))
    _check_widths(sources)
    n_tiles = sum(map(tile_count, sources))
    reporter.log(f"Feature files: {n_tiles:,} tiles, {sources[0].file.dim} numbers each.")
    return sources


def _check_widths(sources: Sequence[FeatureSource]) -> None:
    first = sources[0].file
    for source in sources:
        if source.file.dim != first.dim:
            raise CohortError(
                f"Feature files are of different encoders: '{first.path.name}' has {first.dim} "
                f"numbers per tile, '{source.file.path.name}' has {source.file.dim}. Keep the "
                "files of one encoder in the folder."
            )


def _tile_all(
    cohort: Cohort, config: DreSlclConfig, reporter: Reporter, world: World, broken: BrokenSlides
) -> tuple[TileSource, ...]:
    with ExitStack() as opened:
        slides = reporter.each(lambda: _open_all(cohort, reporter, broken, opened))
        broken.agree(world)
        sound = {row: slide for row, slide in slides.items() if row not in broken}
        names = {row: cohort.rows[row].slide_id for row in sound}
        grids = find_grids(sound, names, config.tiling, reporter, world, broken)
        opened.pop_all()  # all went well: whoever asked closes them
    for row in slides.keys() - grids.keys():
        slides[row].close()
    sources = tuple(TileSource(slides[row], grid) for row, grid in grids.items())
    warn_of_findings((source.slide.info for source in sources), reporter)
    for source in sources:
        reporter.warn_once(left_out_warning(source))
    return sources


def _open_all(
    cohort: Cohort, reporter: Reporter, broken: BrokenSlides, opened: ExitStack
) -> dict[int, Slide]:
    slides, pool = {}, SlidePool()
    with prove_ahead(row.path for row in cohort.rows):
        for number, row in enumerate(cohort.rows):
            reporter.progress("Opening slides", number, len(cohort), row.slide_id)
            if row.path is None:
                raise CohortError(f"Slide '{row.slide_id}' of '{cohort.table}' names no file.")
            try:
                slide = open_slide(row.path, mpp=row.mpp, mpp_source="cohort table", pool=pool)
            except SlideError as error:
                broken.add(number, error)
            else:
                slides[number] = opened.enter_context(slide)
    reporter.progress("Opening slides", len(cohort), len(cohort))
    return slides
