"""The folders that are written to: rights, room, locks and the clock."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from napari_dre_slcl.doctor.finding import Finding, ok, problem, warning

__all__ = ["check_folder", "check_folders"]

_GIB = 2**30
_CLOCK_S = 5.0
_SANE_YEAR = 2025
_RUN_ROOM_GIB = (1.0, 20.0)
_OTHER_ROOM_GIB = (0.1, 1.0)


def check_folders(work: Path) -> list[Finding]:
    """Write into each folder that the package writes to.

    Parameters
    ----------
    work : Path
        Where runs and results are to go.
    """
    try:
        import platformdirs

        from napari_dre_slcl.user_folder import user_folder
    except ImportError as error:
        return [problem("Folders", f"cannot be found: {error}", "pip install platformdirs")]
    cache = Path(platformdirs.user_cache_dir("napari-dre-slcl", appauthor=False))
    places = [
        ("Folder of runs", work, _RUN_ROOM_GIB, "Choose another with --folder."),
        (
            "Folder of settings",
            user_folder(),
            _OTHER_ROOM_GIB,
            "Name another with the environment variable DRE_SLCL_CONFIG_DIR.",
        ),
        (
            "Folder of kept files",
            cache,
            _OTHER_ROOM_GIB,
            "Name another with the environment variable XDG_CACHE_HOME (on Linux).",
        ),
        (
            "Temporary folder",
            Path(tempfile.gettempdir()),
            _OTHER_ROOM_GIB,
            "Name another with the environment variable TMPDIR.",
        ),
    ]
    found = [check_folder(about, folder, room, mend) for about, folder, room, mend in places]
    return [*found, check_clock(work)]


def check_folder(about: str, folder: Path, room_gib: tuple[float, float], mend: str) -> Finding:
    """Write, lock, rename and delete a file, and ask for the room.

    Parameters
    ----------
    about, mend : str
        As in `Finding`.
    folder : Path
        It is not made where it is missing; then the nearest one above is looked at.
    room_gib : tuple of float
        Below the first number it is a problem, below the second a warning.
    """
    place = _nearest(folder)
    try:
        _write_and_lock(place)
        free_gib = shutil.disk_usage(place).free / _GIB
    except ImportError as error:
        return problem(about, f"cannot be tried: {error}", "pip install filelock")
    except (OSError, NotImplementedError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return problem(about, f"'{place}' cannot be written: {why}", mend)
    says = f"'{folder}' can be written, {free_gib:,.1f} GiB free"
    least, enough = room_gib
    if free_gib < least:
        return problem(about, f"'{folder}' has {free_gib:.2f} GiB free", f"Free space. {mend}")
    if free_gib < enough:
        return warning(about, says, f"Large cohorts need more; free space. {mend}")
    return ok(about, says)


def check_clock(folder: Path) -> Finding:
    """Compare this machine's clock with the time that the folder's disk gives a new file."""
    now = time.time()
    if time.localtime(now).tm_year < _SANE_YEAR:
        return warning("Clock", f"stands at {time.ctime(now)}", "Set the clock of this machine.")
    try:
        with tempfile.NamedTemporaryFile(dir=_nearest(folder), prefix=".dre-slcl-") as stream:
            written_at = Path(stream.name).stat().st_mtime
    except OSError:
        return ok("Clock", time.ctime(now))  # that it cannot be written is told already
    apart_s = abs(written_at - time.time())
    if apart_s > _CLOCK_S:
        return warning(
            "Clock",
            f"this machine and the disk of '{folder}' are {apart_s:.0f} s apart, so that runs on "
            "it seem older or newer than they are",
            "Let both follow a time server (NTP).",
        )
    return ok("Clock", time.ctime(now))


def _write_and_lock(folder: Path) -> None:
    import filelock

    from napari_dre_slcl.atomic_file import write_text

    with tempfile.TemporaryDirectory(dir=folder, prefix=".dre-slcl-doctor-") as name:
        write_text(Path(name) / "file", "x")
        with filelock.FileLock(Path(name) / "lock", timeout=_CLOCK_S):
            pass


def _nearest(folder: Path) -> Path:
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place
