"""Turns the errors of a full disk into a sentence that says how to go on."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_dre_slcl.errors import DreSlclError, JobError

__all__ = ["explain_full_disk"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def explain_full_disk(run_dir: Path) -> Iterator[None]:
    """Raise `JobError` for an `OSError` within the block, or one told already, with what to do.

    Parameters
    ----------
    run_dir : Path
        The run that writes.

    Raises
    ------
    JobError
        If the block ends with an error of the file system.
    """
    how_to_go_on = f"free space, then go on with 'dre-slcl resume {run_dir}'."
    try:
        yield
    except DreSlclError as error:
        cause = error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in _FULL:
            raise
        raise JobError(f"{error} The last checkpoint is whole: {how_to_go_on}") from error
    except OSError as error:
        what = error.strerror or str(error)
        if error.errno not in _FULL:
            raise JobError(
                f"The run '{run_dir}' stopped on a file that cannot be used: {what}"
                f"{f' ({error.filename})' if error.filename else ''}. Once that is mended, go on "
                f"with 'dre-slcl resume {run_dir}'."
            ) from error
        raise JobError(
            f"The disk of the run '{run_dir}' is full ({what}). The last checkpoint is whole: "
            f"{how_to_go_on}"
        ) from error
