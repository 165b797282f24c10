"""Write one spoiled slide to look at: -m torture.slides.one_case --number 39 --out FOLDER."""

from __future__ import annotations

import argparse
from pathlib import Path

from torture.plan import Plan
from torture.slides import REAL_SLIDES, cases_of
from torture.slides.made import make_slides
from torture.slides.spoil import spoil


def main() -> None:
    """Write the case that the suite reads under the same seed, share and number."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="A new folder.")
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    plan = Plan(options.seed, 1.0, options.out, print)
    slides = make_slides(options.out, REAL_SLIDES)
    case = cases_of(plan, slides)[options.number]
    chance = plan.random(f"slides {case.number}")
    print(case, spoil(slides[case.name], case.way, chance, options.out), sep="\n")


if __name__ == "__main__":
    main()
