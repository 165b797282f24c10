"""``python -m napari_dre_slcl.doctor``: for when ``dre-slcl`` itself does not start."""

from __future__ import annotations

import sys
from pathlib import Path

from napari_dre_slcl.doctor.examine import examine
from napari_dre_slcl.doctor.finding import summary, text_lines

__all__ = ["main"]


def main() -> int:
    """Print what is found about the installation; 1 where there is a problem."""
    found = examine(Path.cwd())
    for _state, line in text_lines(found):
        sys.stdout.write(line + "\n")
    sys.stdout.write(summary(found) + "\n")
    return int(any(one.state == "problem" for one in found))


if __name__ == "__main__":
    sys.exit(main())
