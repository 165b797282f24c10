"""ExportTask: one export in the background thread; progress and cancel cross by plain values."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from napari_dre_slcl.cohort.pseudonyms import load_pseudonyms
from napari_dre_slcl.export.export_slide import ExportRequest, export_result
from napari_dre_slcl.export.look import CodewordLook
from napari_dre_slcl.export.steps import ExportStopped
from napari_dre_slcl.jobs.private_result import private_result
from napari_dre_slcl.results import SlideResult

__all__ = ["ExportTask"]


class ExportTask:
    """What is exported, how far it is, and the wish to stop. Knows no Qt.

    Parameters
    ----------
    result : SlideResult
        Of one slide.
    request : ExportRequest
        What to write.
    look : CodewordLook or None
        Names and colours as in the window.
    is_private : bool, default False
        Put pseudonyms in the place of the slide's names, and call the files by them.
    """

    def __init__(
        self,
        result: SlideResult,
        request: ExportRequest,
        look: CodewordLook | None,
        *,
        is_private: bool = False,
    ) -> None:
        self.result = result
        self.request = request
        self._look = look
        self._is_private = is_private
        self._stop = threading.Event()
        self.step = ("", 0.0)

    def cancel(self) -> None:
        """Stop at the next occasion; what is written whole by then stays."""
        self._stop.set()

    def run(self) -> list[Path] | None:
        """Export; called in the thread.

        Returns
        -------
        list of Path or None
            None where it was cancelled.
        """
        result, request = self.result, self.request
        if self._is_private:
            result = private_result(result, load_pseudonyms())
            request = replace(request, has_names=True)
        try:
            return export_result(result, request, self._look, self._on_progress)
        except ExportStopped:
            return None

    def _on_progress(self, name: str, share: float) -> None:
        if self._stop.is_set():
            raise ExportStopped
        self.step = (name, share)
