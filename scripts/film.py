"""Film the real window while it trains and while a result is explored, as an animated picture.

    xvfb-run -s "-screen 0 1600x1000x24" python scripts/film.py --run RUN --cohort TABLE \
        --predicted SLIDE --slide SLIDE [--mpp 0.25] [--film docs/images/train-and-explore.webp]

Takes what `scripts/tour.py` takes, and does some of its steps. Nothing is acted: each frame is the
window at that moment; only the time between frames is shortened.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import tour
from PIL import Image
from qtpy.QtCore import QTimer
from tour_window import TourWindow

FRAME_PX = (1040, 650)
SHOWN_MS = 650
QUALITY = 72


class Film:
    """Takes a picture of the window again and again while its steps are done.

    Parameters
    ----------
    window : TourWindow
        What is filmed.
    """

    def __init__(self, window: TourWindow) -> None:
        self.frames: list[Image.Image] = []
        self._window = window
        self._timer = QTimer(window.canvas)
        self._timer.timeout.connect(self._shoot)

    def roll(self, every_ms: int) -> None:
        """Take a picture so often from now on; none with 0."""
        self._timer.stop()
        if every_ms:
            self._timer.start(every_ms)

    def save(self, path: Path) -> None:
        """Write what was taken; a picture equal to the one before lengthens it."""
        kept: list[Image.Image] = []
        shown_ms: list[int] = []
        for frame in self.frames:
            if kept and frame.tobytes() == kept[-1].tobytes():
                shown_ms[-1] = min(shown_ms[-1] + SHOWN_MS, 3 * SHOWN_MS)
            else:
                kept.append(frame)
                shown_ms.append(SHOWN_MS)
        shown_ms[-1] = 4 * SHOWN_MS
        kept[0].save(
            path,
            save_all=True,
            append_images=kept[1:],
            duration=shown_ms,
            loop=0,
            quality=QUALITY,
            method=6,
        )

    def _shoot(self) -> None:
        pixels = self._window.viewer.screenshot(canvas_only=False, flash=False)[..., :3]
        frame = Image.fromarray(pixels).resize(FRAME_PX, Image.Resampling.LANCZOS)
        self.frames.append(frame)


def main() -> int:
    """Train, predict and explore in front of the camera."""
    parser = tour.arguments(__doc__)
    parser.add_argument(
        "--film", type=Path, default=Path("docs/images/train-and-explore.webp"), help="the file"
    )
    options = parser.parse_args()
    home = Path(tour.HOME)
    try:
        shutil.copytree(options.run, home / "lung-mosaic")
        window = TourWindow()
        film = Film(window)
        _act(tour.Tour(window, options, home), film)
        film.save(options.film)
        sys.stdout.write(f"{len(film.frames)} pictures, {options.film.stat().st_size // 1000} kB\n")
        window.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 0


def _act(steps: tour.Tour, film: Film) -> None:
    steps.open_slide()
    film.roll(900)
    steps.open_cohort()
    steps.window.wait(1500)
    steps.fill_training()
    film.roll(5000)
    steps.train()
    film.roll(0)
    steps.end_training()
    film.roll(1200)
    steps.predict()
    film.roll(900)
    steps.show_evidence()
    steps.select_tile()
    steps.window.wait(1000)
    steps.window.open_section("Codewords")
    steps.window.open_section("Similar tiles and slides")
    steps.window.wait(1500)


if __name__ == "__main__":
    sys.exit(main())
