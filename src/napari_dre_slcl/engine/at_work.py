"""A folder of outputs while a command works on it: marked, and rid of what a killed one left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_dre_slcl.atomic_file import aside_of, delete_left_over, make_folder, set_mark
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import JobError

__all__ = ["at_work"]

_MARK = "at-work"


@contextmanager
def at_work(folder: Path, reporter: Reporter, inside: Sequence[str] = ()) -> Iterator[Path]:
    """Make the folder of outputs, and mark for the length of a block that this process fills it.

    A mark that was left says that its process was killed: the user is told so.

    Parameters
    ----------
    folder : Path
        Of the outputs.
    reporter : Reporter
        Told where an earlier command was broken off.
    inside : sequence of str
        Folders inside it that this process writes into as well.

    Yields
    ------
    Path
        The mark, by which other machines know the folder; it has gone after the block.

    Raises
    ------
    JobError
        If the folder cannot be written.
    """
    mark = aside_of(folder / _MARK)
    try:
        make_folder(folder)
        set_mark(mark)  # first: killed before it is told, this process leaves one as well
        n_left = sum(delete_left_over(place) for place in (folder, *map(folder.joinpath, inside)))
    except OSError as error:
        raise JobError(
            f"The folder '{folder}' cannot be written: {error.strerror}. Choose another --out."
        ) from error
    if n_left:
        reporter.log(
            f"An earlier command on the folder '{folder}' was broken off. What it had finished is "
            "kept; what it had half written was deleted."
        )
    try:
        yield mark
    finally:
        with suppress(OSError):
            mark.unlink(missing_ok=True)
