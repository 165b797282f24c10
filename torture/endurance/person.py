"""A person at the window: each method is one action, made of real events of mouse and keys."""

from __future__ import annotations

import shutil
from functools import partial

import napari
from qtpy.QtWidgets import QComboBox

from napari_dre_slcl.gui.dock import DreSlclDock
from napari_dre_slcl.jobs.messages import TrainJob
from torture.endurance.hands import choose, press, see, show_tab, type_text, wait_until
from torture.endurance.supplies import TINY
from torture.endurance.viewing import COHORT, DRAWN_MS, EXPLORE, SLIDE, TRAIN, StuckError, Viewing

__all__ = ["Person"]

_WORDS = ("LUAD", "a", "p1", "=", "high grade")


class Person(Viewing):
    """Looks, asks, trains, exports, and errs."""

    # -- in the Explore tab ----------------------------------------------------------------------

    def map(self) -> None:
        """Choose another map."""
        self._choose_any(self.dock.explore_panel.maps.choice)

    def codeword(self) -> None:
        """Draw the tiles of one codeword alone, then all."""
        cards = self.dock.explore_panel.codebook.cards
        if cards:
            card = self._draw.choice(cards)
            for _ in range(2):
                press(card.only)
                see(30)

    def classes(self) -> None:
        """Show shares, colours or neighbours by something else."""
        explore = self.dock.explore_panel
        boxes = (explore.codebook.classes, explore.atlas.color_by, explore.similar.where)
        self._choose_any(self._draw.choice(boxes))

    def _choose_any(self, combo: QComboBox) -> None:
        if combo.count():
            choose(combo, self._draw.randrange(combo.count()))
            self._let_work()

    def visit(self) -> None:
        """Go to a tile of another slide that is similar to the one that is selected."""
        show_tab(self.dock.tabs, EXPLORE)
        hits = self.dock.explore_panel.similar.tiles
        self.dock.session.select_tiles([0])
        self._let_work()
        if hits.value():
            hits.activated.emit(self._draw.randrange(len(hits.value())))
        self._let_work()

    def predict(self) -> None:
        """Predict the slide that is meant, and look around meanwhile."""
        show_tab(self.dock.tabs, EXPLORE)
        panel = self.dock.result_panel
        press(panel.predict_button)
        while panel.is_running:
            self._draw.choice((self.zoom, self.pan, self.hover))()
            wait_until(lambda: not panel.is_running, 0.1)
        self._let_work()

    def what_if(self) -> None:
        """Leave out a codeword, see what changes, and put it back."""
        box = self.dock.explore_panel.what_if
        box.codewords.setValue((box.codewords.count() - 1,))
        self._wait(lambda: not self.dock.session.answerer.is_running, "what if")
        press(box.clear_button)
        self._let_work()

    def export(self) -> None:
        """Write a report and a table, and throw them away."""
        box = self.dock.explore_panel.export
        folder = self._new("export")
        box.folder.setValue(folder)
        for name, tick in box.formats.items():
            tick.setChecked(name in ("html", self._draw.choice(sorted(box.formats))))
        press(box.export_button)
        self._wait(lambda: not box.cancel_button.isVisibleTo(box), "an export")
        shutil.rmtree(folder, ignore_errors=True)

    def wrong(self) -> None:
        """Give the window what it cannot use, as slide, result, table or model."""
        path = self._draw.choice(self._supplies.wrong)
        kind = self._draw.choice(("slide", "result", "table", "model"))
        if kind == "slide":
            self._open_path(path)
        elif kind == "result":
            self._load(path)
        elif kind == "table":
            type_text(self.dock.cohort_panel.source.field._line, str(path))
            see(400)
        else:
            self.dock.result_panel.model_field.setValue(path)
            press(self.dock.result_panel.predict_button)
            self._wait(lambda: not self.dock.result_panel.is_running, "a refusal")
            self.dock.result_panel.model_field.setValue(self._run)
        self._let_work()

    # -- elsewhere in the dock -------------------------------------------------------------------

    def tab(self) -> None:
        """Look at another tab."""
        show_tab(self.dock.tabs, self._draw.randrange(self.dock.tabs.count()))

    def section(self) -> None:
        """Unfold a section, or fold it away."""
        show_tab(self.dock.tabs, EXPLORE)
        press(self._draw.choice(list(self.dock.explore_panel.sections.values())).button)
        self._let_work()

    def tissue(self) -> None:
        """Have the tissue of the slide found."""
        show_tab(self.dock.tabs, SLIDE)
        press(self.dock.slide_panel.tissue.find_button)
        self._let_work()

    def table(self) -> None:
        """Open a cohort table."""
        show_tab(self.dock.tabs, COHORT)
        type_text(
            self.dock.cohort_panel.source.field._line, str(self._draw.choice(self._supplies.tables))
        )
        see(400)  # it waits for the end of typing
        self._let_work()

    def filter(self) -> None:
        """Look for rows of the table."""
        show_tab(self.dock.tabs, COHORT)
        type_text(self.dock.cohort_panel.table.filter.line, self._draw.choice(_WORDS))
        see(100)

    # -- what takes long -------------------------------------------------------------------------

    def train(self) -> None:
        """Start a training, hold it, go on, cancel it, and resume it to its end."""
        panel, trainer = self.dock.train_panel, self.dock.session.trainer
        show_tab(self.dock.tabs, TRAIN)
        run = self._new("run")
        panel.setValue(
            TrainJob(
                cohort=self._supplies.tables[0], run_dir=run, preset="cpu-small", overrides=TINY
            )
        )
        buttons = panel.buttons
        press(buttons.start_button)
        self._wait(lambda: "loss" in panel.curve.value() or not trainer.is_running, "a loss")
        for word in ("Continue", "Pause"):
            press(buttons.pause_button)
            self._wait(partial(self._is_held, word), word)
        press(buttons.cancel_button)
        self._wait(lambda: not trainer.is_running, "the end of a training")
        self._answer_dialogs(run)
        press(buttons.resume_button)
        self._wait(lambda: not trainer.is_running, "the end of a resumed training")
        if not panel.message.text().startswith(("Done.", "⚠")):
            raise StuckError(f"A training ended with: {panel.message.text()}")
        self.dock.result_panel.model_field.setValue(self._run)
        self._let_work()
        shutil.rmtree(run, ignore_errors=True)

    def _is_held(self, word: str) -> bool:
        session = self.dock.session
        button = self.dock.train_panel.buttons.pause_button
        return button.text() == word or not session.trainer.is_running

    def redock(self) -> None:
        """Close the dock and open it again."""
        self.viewer.window.remove_dock_widget(self._docked)
        see(DRAWN_MS)
        self._open_dock()
        self._let_work()

    def window(self) -> None:
        """Open a second window with a slide and a result, and close it."""
        viewer = napari.Viewer(title="second", show=False)
        dock = DreSlclDock(viewer)
        viewer.window.add_dock_widget(dock, name="DRE-SLCL", area="right")
        viewer.window.show()
        dock.overlay.load_result(self._draw.choice(self._supplies.results))
        self._wait(lambda: not dock.background.is_busy, "a result")
        for place in range(dock.tabs.count()):
            show_tab(dock.tabs, place)
            see(DRAWN_MS)
        viewer.close()
        see(DRAWN_MS)
