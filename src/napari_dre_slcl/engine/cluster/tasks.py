"""What a worker runs. Imported by the scheduler too, so it imports next to nothing."""

from __future__ import annotations

from typing import Any

from napari_dre_slcl._version import __version__

__all__ = ["run_task"]


def run_task(version: str, order: str, part: int | None) -> dict[str, Any]:
    """Do a slide, a part of it, or join its parts.

    Parameters
    ----------
    version : str
        Of the package that asks; a worker that has another one does nothing.
    order : str
        The work and the slide, as `write_order` makes it.
    part : int or None
        Number of a part; -1 joins them, None does the slide.

    Returns
    -------
    dict
        ``kind``, ``sentence``, ``n_tiles`` and ``n_parts`` of the outcome, ``worker`` and ``host``,
        ``said``: pairs of level and sentence.
    """
    if version != __version__:
        from distributed import get_worker

        worker = get_worker()
        sentence = f"The worker {worker.address} has napari-dre-slcl {__version__}, not {version}."
        answer: dict[str, Any] = {"kind": "other version", "sentence": sentence}
        return answer | {"n_tiles": 0, "n_parts": 0, "worker": worker.address, "said": []}
    from napari_dre_slcl.engine.cluster.on_worker import answer_task

    return answer_task(order, part)
