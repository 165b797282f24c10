"""Drive the real window through its four tabs on real slides, and save a picture of each step.

    xvfb-run -s "-screen 0 1600x1000x24" python scripts/tour.py --run RUN --cohort TABLE \
        --predicted SLIDE --slide SLIDE [--mpp 0.25] [--out docs/images]

RUN is a trained run, with an index in RUN/index where its cohort shall be searched. Nothing is
written into it: the tour works on a copy. Pictures are for docs/getting-started/tour.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

HOME = tempfile.mkdtemp(prefix="tour-")
# Before napari reads them: the user's own settings and runs have no place in the pictures.
os.environ["NAPARI_CONFIG"] = str(Path(HOME) / "settings.yaml")
os.environ["DRE_SLCL_CONFIG_DIR"] = str(Path(HOME) / "config")

from qtpy.QtCore import Qt  # noqa: E402
from tour_window import TourWindow  # noqa: E402

from napari_dre_slcl.jobs.messages import TrainJob  # noqa: E402

Step = tuple[str, str, Callable[[], None]]
"""Name of the picture, theme, and what is done before it is taken."""


class Tour:
    """The steps, in the order of their pictures."""

    def __init__(self, window: TourWindow, options: argparse.Namespace, home: Path) -> None:
        self.window, self.options, self.home = window, options, home
        self.dock = window.dock
        self.explore = window.dock.explore_panel

    def steps(self) -> Iterator[Step]:
        """Yield what to do and how to call it."""
        yield "start", "dark", lambda: self.window.show_tab("Slide")
        yield "slide", "dark", self.open_slide
        yield "tissue", "dark", self.find_tissue
        yield "painting", "dark", self.paint
        yield "slide-light", "light", lambda: self.window.show_tab("Slide")
        yield "cohort", "dark", self.open_cohort
        yield "cohort-light", "light", self.filter_cohort
        yield "train", "dark", self.fill_training
        yield "training", "dark", self.train
        yield "runs", "dark", self.end_training
        yield "training-light", "light", lambda: self.window.scroll_to(self.dock.train_panel.curves)
        yield "prediction", "dark", self.predict
        yield "evidence", "dark", self.show_evidence
        yield "tile", "dark", self.select_tile
        yield "codewords", "dark", lambda: self.window.open_section("Codewords")
        yield "similar", "dark", lambda: self.window.open_section("Similar tiles and slides")
        yield "ask", "dark", self.ask
        yield "what-if", "dark", self.what_if
        yield "atlas", "dark", lambda: self.window.open_section("Atlas")
        yield "export", "dark", lambda: self.window.open_section("Export")
        yield "prediction-light", "light", self.back_to_prediction
        yield "codewords-light", "light", lambda: self.window.open_section("Codewords")
        yield "atlas-light", "light", lambda: self.window.open_section("Atlas")

    def open_slide(self) -> None:
        """Open the slide of the Slide tab."""
        self.dock.overlay.open_slide(self.options.slide, self.options.mpp)
        self.window.wait(2500)

    def find_tissue(self) -> None:
        """Find its tissue and count its tiles."""
        self.dock.slide_panel.tissue.find_button.click()
        counts = self.dock.slide_panel.tissue.counts
        self.window.wait_until(lambda: "left out" in counts.text() and "still" not in counts.text())

    def paint(self) -> None:
        """Paint a piece of it away."""
        self.window.look_at(0.42, 0.68, zoom=5)
        self.dock.slide_panel.tissue.tools["remove"].click()
        self.window.stroke([(0.35, 0.35), (0.5, 0.4), (0.62, 0.6)])
        self.window.wait(1500)

    def open_cohort(self) -> None:
        """Open the table of the cohort."""
        self.dock.slide_panel.tissue.tools["remove"].click()
        self.window.show_tab("Cohort")
        self.dock.cohort_panel.open(self.options.cohort)
        self.window.wait_until(lambda: not self.dock.background.is_busy)

    def filter_cohort(self) -> None:
        """Show the slides of one kind only, and what is in the columns."""
        panel = self.dock.cohort_panel
        panel.table.filter.setValue("LUSC")
        panel.sections["Labels and hospitals"].expand(animate=False)
        self.window.wait(800)
        self.window.scroll_to(panel.sections["Findings"])

    def fill_training(self) -> None:
        """Choose what is trained and how."""
        self.window.show_tab("Train")
        settings = {"training.epochs": 20, "training.device": "cpu", "cohort.val_fraction": 0.2}
        self.dock.train_panel.setValue(
            TrainJob(
                cohort=self.options.cohort,
                run_dir=self.home / "runs" / "first",
                preset="cpu-small",
                overrides=settings,
            )
        )
        self.window.wait(1500)

    def train(self) -> None:
        """Train for a few epochs."""
        self.dock.train_panel.buttons.start_button.click()
        curve = self.dock.train_panel.curves.loss
        self.window.wait_until(
            lambda: any(len(x) >= self.options.epochs for x, _ in curve.value().values())
        )
        self.window.scroll_to(self.dock.train_panel.curves)

    def end_training(self) -> None:
        """Cancel the training: its run stays in the list."""
        self.dock.train_panel.buttons.cancel_button.click()
        self.window.wait_until(lambda: not self.dock.session.trainer.is_running)
        self.window.wait(3000)
        self.window.scroll_to(self.dock.train_panel.runs)

    def predict(self) -> None:
        """Predict a slide of the cohort with the trained model."""
        self.window.viewer.layers.clear()
        self.window.wait(500)
        self.window.show_tab("Explore")
        self.dock.overlay.open_slide(self.options.predicted)
        self.dock.result_panel.model_field.setValue(self.home / "lung-mosaic")
        self.window.expect(self.dock.overlay.result_shown, self.dock.result_panel.predict)
        self.window.wait(2500)
        self.window.scroll_to(self.dock.result_panel)

    def show_evidence(self) -> None:
        """Show what speaks for cancer, and what against it."""
        self.window.open_section("Maps")
        self.explore.maps.show_map("evidence:cancer:cancer")
        self.window.wait(2000)

    def select_tile(self) -> None:
        """Select the tile of most attention, and look at another."""
        result = self.dock.session.result
        self.dock.session.select_tiles([int(result.attention.argmax())])
        self.window.hover(0.55, 0.5)
        self.window.scroll_to(self.dock.result_panel)

    def ask(self) -> None:
        """Look for a word in the slide."""
        self.window.open_section("Ask")
        self.explore.ask.phrases.setValue("squamous")
        self.explore.ask.phrases.ask_button.click()
        self.window.wait(6000)

    def what_if(self) -> None:
        """Leave out the commonest kind of tissue."""
        self.window.open_section("What if")
        commonest = self.explore.what_if.codewords.item(0)
        commonest.setCheckState(Qt.CheckState.Checked)
        self.window.wait(4000)

    def back_to_prediction(self) -> None:
        """Fold everything away and show the attention again."""
        self.window.fold_sections()
        self.explore.maps.show_map("attention")
        self.dock.session.select_tiles([])
        self.window.scroll_to(self.dock.result_panel)
        self.window.wait(1000)


def main() -> int:
    """Walk through the steps and save their pictures."""
    options = arguments(__doc__).parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    home = Path(HOME)
    try:
        shutil.copytree(options.run, home / "lung-mosaic")
        window = TourWindow()
        tour = Tour(window, options, home)
        for number, (name, theme, act) in enumerate(tour.steps(), start=1):
            if options.only and name not in options.only:
                continue
            window.use_theme(theme)
            act()
            window.wait(1200)
            picture = window.save(options.out / f"tour-{number:02d}-{name}")
            sys.stdout.write(f"{picture.name}: {picture.stat().st_size // 1000} kB\n")
            sys.stdout.flush()
        window.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 0


def arguments(about: str) -> argparse.ArgumentParser:
    """Return the parser of what the tour and the film need."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--run", type=Path, required=True, help="trained run")
    parser.add_argument("--cohort", type=Path, required=True, help="its cohort table")
    parser.add_argument("--predicted", type=Path, required=True, help="a slide of that cohort")
    parser.add_argument("--slide", type=Path, required=True, help="for the Slide tab")
    parser.add_argument("--mpp", type=float, help="of that slide")
    parser.add_argument("--epochs", type=int, default=6, help="to train before the picture")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--only", nargs="*", help="names of steps; the others are left out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
