"""``python -m napari_dre_slcl`` is ``dre-slcl``, for launchers that start modules."""

import sys

from napari_dre_slcl.cli import main

if __name__ == "__main__":
    sys.exit(main())
