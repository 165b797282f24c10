"""Work that the processes of a bank do side by side: one's trouble ends all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from napari_dre_slcl.errors import DreSlclError, JobError
from napari_dre_slcl.model.bank_team import Team

__all__ = ["together"]


@contextmanager
def together(team: Team) -> Iterator[None]:
    """Wait at the end of the block until all have done theirs.

    Raises
    ------
    JobError
        If the block failed in another process; its own error is raised as it is.
    """
    try:
        yield
    except (OSError, DreSlclError) as error:
        with suppress(JobError):
            team.wait(_sentence(error))
        raise
    team.wait()


def _sentence(error: OSError | DreSlclError) -> str:
    if isinstance(error, DreSlclError):
        return str(error)
    where = f" ({error.filename})" if error.filename else ""
    return (
        f"A file of the run cannot be used: {error.strerror or error}{where}. Once that is mended, "
        "go on with 'dre-slcl resume'."
    )
