"""Features of slides out of whatever holds them, into the layouts of TRIDENT and CLAM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_dre_slcl.cohort.feature_attributes import tile_mpp
from napari_dre_slcl.cohort.feature_layouts import (
    FeatureTable,
    write_clam,
    write_trident,
)
from napari_dre_slcl.cohort.feature_store import (
    FEATURE_SUFFIXES,
    feature_file,
    read_features,
)
from napari_dre_slcl.cohort.open_coords import read_places
from napari_dre_slcl.cohort.wsidata_store import is_store, read_store
from napari_dre_slcl.engine_extra import engine_needed
from napari_dre_slcl.errors import DreSlclError, EngineMissingError, SlideError
from napari_dre_slcl.results import RESULT_SUFFIX, load_result

__all__ = ["LAYOUTS", "Conversion", "convert_features", "read_any"]

LAYOUTS = ("trident", "clam")
_PT = ".pt"


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was done.

    Parameters
    ----------
    written : dict of Path
        The HDF5 file of each slide, by the slide's name.
    skipped : dict of str
        Why others have none, by the name of their source.
    """

    written: dict[str, Path] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def convert_features(
    sources: Sequence[Path],
    to: str,
    out: Path,
    coords: Path | None = None,
    table: str = "",
    on_slide: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> Conversion:
    """Write the features of many slides in the layout of TRIDENT or CLAM.

    Parameters
    ----------
    sources : sequence of Path
        Feature files (HDF5), CLAM's ``.pt`` files, results with features, stores of LazySlide or
        wsidata (``.zarr``), or folders of these.
    to : str
        ``trident``: ``NAME.h5`` each. ``clam``: ``h5_files/NAME.h5`` and ``pt_files/NAME.pt``.
    out : Path
        Folder for the files; those of the same name are replaced.
    coords : Path, optional
        Folder of coordinate files, such as CLAM's ``patches``: says where tiles lie and how large
        they are, where the sources do not.
    table : str
        Which table of a store is taken, where it has several.
    on_slide : callable
        Told how many slides are done, of how many, and the next one's name.

    Returns
    -------
    Conversion
        Slides that cannot be read are left out of it, with the reason.

    Raises
    ------
    SlideError
        If the layout is not known, two sources are of one name, a source would be replaced, or no
        slide could be written.
    """
    if to not in LAYOUTS:
        raise SlideError(f"There is no layout '{to}'. Choose among {', '.join(LAYOUTS)}.")
    found = _sources(sources)
    _refuse_own(found, out if to == "trident" else out / "h5_files")
    done = Conversion()
    for number, path in enumerate(found):
        on_slide(number, len(found), path.name)
        try:
            features = read_any(path, coords, table)
            done.written[features.name] = _write(features, to, out)
        except EngineMissingError:
            raise
        except DreSlclError as error:
            done.skipped[path.name] = str(error)
    if not done.written:
        raise SlideError(f"No features were written. {next(iter(done.skipped.values()))}")
    return done


def read_any(path: Path, coords: Path | None = None, table: str = "") -> FeatureTable:
    """Read the features of one slide, whatever file they are in.

    Parameters
    ----------
    path, coords, table
        As `convert_features`.

    Raises
    ------
    DreSlclError
        If it cannot be read, or its coordinates are of another number of tiles.
    """
    if path.name.endswith(RESULT_SUFFIX):
        return _of_result(path)
    if path.is_dir():
        return read_store(path, table)
    features = _of_tensor(path) if path.suffix == _PT else _of_file(path)
    return features if coords is None else _with_places(features, coords, path)


def _sources(given: Iterable[Path]) -> list[Path]:
    """Return the files and stores in what was given, refused where two bear one name."""
    found = [path for one in given for path in _inside(one)]
    names: dict[str, Path] = {}
    for path in found:
        name = _name(path)
        if name in names:
            raise SlideError(
                f"'{names[name]}' and '{path}' would become one file. Convert them to two folders."
            )
        names[name] = path
    return found


def _refuse_own(sources: Iterable[Path], folder: Path) -> None:
    own = next((path for path in sources if path.parent.resolve() == folder.resolve()), None)
    if own is not None and own.suffix in FEATURE_SUFFIXES:
        raise SlideError(
            f"'{own}' would be replaced by what is made of it. Choose another folder by --out."
        )


def _inside(path: Path) -> list[Path]:
    if not path.is_dir() or is_store(path):
        return [path]
    inner = path / "h5_files"  # CLAM's feat_dir has the same features twice
    folder = inner if inner.is_dir() else path
    found = sorted(file for file in folder.iterdir() if _is_source(file))
    if not found:
        raise SlideError(
            f"The folder '{path}' has no features: no .h5, .pt or {RESULT_SUFFIX} files, no stores."
        )
    return found


def _is_source(path: Path) -> bool:
    if path.is_dir():
        return is_store(path)
    return path.suffix in (*FEATURE_SUFFIXES, _PT) or path.name.endswith(RESULT_SUFFIX)


def _name(path: Path) -> str:
    for suffix in (RESULT_SUFFIX, ".zarr"):
        if path.name.endswith(suffix):
            return path.name.removesuffix(suffix)
    return path.stem


def _of_tensor(path: Path) -> FeatureTable:
    with engine_needed():
        from napari_dre_slcl.engine.pt_features import read_pt
    return FeatureTable(path.stem, read_pt(path))


def _of_file(path: Path) -> FeatureTable:
    stored = read_features(path)
    file = stored.file
    height, width = (file.attrs.get(f"level0_{edge}") for edge in ("height", "width"))
    has_shape = isinstance(height, int) and isinstance(width, int)
    tile_px = file.attrs.get("patch_size") if "patch_size_level0" in file.attrs else None
    overlap = file.attrs.get("overlap", 0)
    level0 = {"mpp": file.attrs.get("level0_mpp")}
    level0["target_magnification"] = file.attrs.get("level0_magnification")
    return FeatureTable(
        path.stem,
        stored.features,
        stored.coords_yx,
        file.tile_size_px,
        tile_px=tile_px if isinstance(tile_px, int) else None,
        mpp=file.mpp,
        slide_mpp=tile_mpp(level0),
        encoder=str(file.attrs.get("encoder", "")),
        encoder_sha256=str(file.attrs.get("encoder_sha256", "")),
        slide_shape=(height, width) if has_shape else None,  # type: ignore[arg-type]
        overlap_px=overlap if isinstance(overlap, int) else 0,
    )


def _of_result(path: Path) -> FeatureTable:
    result = load_result(path)
    if result.features is None:
        raise SlideError(
            f"The result '{path.name}' holds no tile features. Predict the slide again, or take "
            "the feature files that it was predicted from."
        )
    has_tiles = len(result.rowcol) == len(result.features)
    return FeatureTable(
        _name(path),
        result.features,
        result.tile_yx if has_tiles else None,
        result.tile_size_px if has_tiles else None,
        slide_mpp=result.mpp,
        slide_shape=result.slide_shape if has_tiles else None,
    )


def _with_places(features: FeatureTable, folder: Path, source: Path) -> FeatureTable:
    # As CLAM and as TRIDENT call them.
    path = feature_file(folder, [features.name, f"{features.name}_patches"])
    if path is None:
        raise SlideError(f"The folder '{folder}' has no coordinate file of '{features.name}'.")
    places = read_places(path)
    if len(places.coords_yx) != len(features.features):
        raise SlideError(
            f"'{source.name}' has {len(features.features):,} tiles, its coordinates '{path}' "
            f"{len(places.coords_yx):,}. Give those that its features were made from."
        )
    return replace(
        features,
        coords_yx=places.coords_yx,
        size_px=places.size_px or features.size_px,
        mpp=places.mpp or features.mpp,
    )


def _write(features: FeatureTable, to: str, out: Path) -> Path:
    if to == "trident":
        return write_trident(features, out)
    with engine_needed():
        from napari_dre_slcl.engine.pt_features import write_pt
    path = write_clam(features, out)
    write_pt(out / "pt_files" / f"{features.name}.pt", features.features)
    return path
