"""Where the slides of a job are done: in this process, or on a cluster where one was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from napari_dre_slcl.engine.many_slides import Tally, do_here
from napari_dre_slcl.engine.reporter import OnEvent, Reporter
from napari_dre_slcl.engine.slide_work import SlideItem, SlideWork
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import ClusterChoice

__all__ = ["do_all"]


def do_all(
    work: SlideWork,
    items: Sequence[SlideItem],
    choice: ClusterChoice | None,
    reporter: Reporter,
    on_event: OnEvent,
    tally: Tally,
) -> None:
    """Do slides where the user wants them done.

    Parameters
    ----------
    work : SlideWork
        What is done of each.
    items : sequence of SlideItem
        The slides.
    choice : ClusterChoice or None
        None does them here.
    reporter : Reporter
        Told the progress.
    on_event : callable
        Told what the workers do.
    tally : Tally
        Gets what comes of each slide.

    Raises
    ------
    JobError
        If the cluster or the output folder cannot be used.
    Stopped
        If the user wants it.
    """
    if not items:
        return
    if choice is None:
        do_here(work, items, reporter, tally)
        return
    if find_spec("distributed") is None:
        raise JobError("Workers need Dask. Install it: pip install 'napari-dre-slcl[cluster]'.")
    from napari_dre_slcl.engine.cluster.run import do_on_cluster

    do_on_cluster(work, items, choice, reporter, on_event, tally)
