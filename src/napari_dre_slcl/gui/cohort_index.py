"""CohortIndex: opens the index of the model that is meant, and has a new one made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_dre_slcl.gui.preferences import should_pseudonymize
from napari_dre_slcl.insight.search_note import MOST_EXACT, how_it_is_searched
from napari_dre_slcl.insight.tile_index import INDEX_FILE, TileIndex, default_index_folder
from napari_dre_slcl.jobs.messages import IndexJob, Progress, Result

if TYPE_CHECKING:
    from napari_dre_slcl.gui.session import Session

__all__ = ["CohortIndex", "IndexState"]

_TOPIC = "opening the index of the cohort"


@dataclass(frozen=True, slots=True)
class IndexState:
    """What there is to say of the index.

    Parameters
    ----------
    text : str
        A sentence for the user.
    progress : Progress or None
        How far a new index has come, while one is made.
    is_running : bool
        Whether one is made.
    """

    text: str
    progress: Progress | None = None
    is_running: bool = False


class CohortIndex(QObject):
    """Keeps `Session.index` in step with the model; several panels show its state.

    Parameters
    ----------
    session : Session
        What the panels share.
    """

    changed = Signal(object)
    """An `IndexState`."""
    failed = Signal(str)
    """A sentence."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._state = IndexState("")
        session.model_changed.connect(self._follow_model)
        session.overlay.result_shown.connect(self._follow_result)
        self._tell(IndexState(self._index_text()))

    @property
    def state(self) -> IndexState:
        """What there is to say now."""
        return self._state

    @property
    def is_of_result(self) -> bool:
        """Whether index and shown result come from one model."""
        index, result = self._session.index, self._session.result
        if index is None or result is None:
            return False
        return bool(index.model_sha256 == result.provenance.get("model_sha256", ""))

    def open(self, folder: Path) -> None:
        """Open an index folder in the background."""
        self._session.background.run(
            _TOPIC, TileIndex.open, folder, on_done=self._take, on_error=self._complain
        )

    def make(self, cohort: Path) -> None:
        """Have the cohort of a table made searchable with the model that is meant."""
        model = self._session.model
        if model is None:
            self._complain("No model is chosen. Choose one at the top of this tab first.")
            return
        model = model.absolute()
        job = IndexJob(
            model=model,
            cohort=cohort.absolute(),
            out=default_index_folder(model),
            pseudonymize=should_pseudonymize(),
        )
        self._tell(IndexState("Starting the engine…", None, is_running=True))
        self._session.ask(job, self._on_result, self._on_error, self._on_event)

    def cancel(self) -> None:
        """Stop making an index; results that are there are kept."""
        self._session.cancel("index")

    def _follow_model(self, model: Path | None) -> None:
        """Open the index that was made with a model before, where there is one."""
        self._session.background.run(
            _TOPIC,
            _open_if_there,
            model,
            on_done=self._take,
            on_error=self._lose,
        )

    def _follow_result(self, _: object = None) -> None:
        """Look for an index of the model of a result that was opened without choosing a model."""
        if self._session.index is None and self._session.model is None:
            self._follow_model(self._session.codewords.model)

    def _take(self, index: TileIndex | None) -> None:
        if index is not self._session.index:
            self._session.set_index(index)
        if not self._state.is_running:
            self._tell(IndexState(self._index_text()))

    def _lose(self, sentence: str) -> None:
        """Have no index any more, and say why."""
        self._take(None)
        if not self._state.is_running:
            self._tell(IndexState(sentence))

    def _on_event(self, event: Any) -> None:
        if isinstance(event, Progress):
            text = f"{event.stage}: {event.message}" if event.message else event.stage
            self._tell(IndexState(text, event, is_running=True))

    def _on_result(self, end: Result) -> None:
        left_out = f" {len(end.skipped):,} could not be read." if end.skipped else ""
        self._tell(IndexState(f"The index is made.{left_out}"))
        self.open(end.paths["index"])

    def _on_error(self, sentence: str) -> None:
        self._tell(IndexState(sentence))

    def _complain(self, sentence: str) -> None:
        self.failed.emit(sentence)
        if not self._state.is_running:
            self._tell(IndexState(sentence))

    def _tell(self, state: IndexState) -> None:
        self._state = state
        self.changed.emit(state)

    def _index_text(self) -> str:
        index = self._session.index
        if index is None and self._session.model is None:
            return (
                "Choose a model at the top of this tab. A cohort can then be made searchable with "
                "it."
            )
        if index is None:
            return (
                "No cohort is searchable with this model yet. 'Make searchable…' predicts every "
                "slide of a cohort once, then its tiles can be found from here."
            )
        text = f"Searching {len(index):,} tiles of {len(index.slides):,} slides."
        is_large = len(index) > MOST_EXACT or index.header.codes is not None
        return f"{text} {how_it_is_searched(index.header)}" if is_large else text


def _open_if_there(model: Path | None) -> TileIndex | None:
    if model is None:
        return None
    folder = default_index_folder(model)
    return TileIndex.open(folder) if (folder / INDEX_FILE).is_file() else None
