"""Child of the doctor: looks this plugin up as napari does, and prints what it finds as JSON."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from typing import Any

__all__ = ["main"]

_NAME = "napari-dre-slcl"


def main() -> None:
    """Print whether napari finds the plugin, has it turned on, and can import its commands."""
    from napari.settings import get_settings
    from npe2 import PluginManager

    manager = PluginManager()
    manager.discover()
    facts: dict[str, Any] = {
        "napari": metadata.version("napari"),
        "is_found": _NAME in manager,
        "is_disabled": _NAME in get_settings().plugins.disabled_plugins,
        "commands": 0,
        "error": "",
    }
    if facts["is_found"]:
        manifest = manager.get_manifest(_NAME)
        facts["commands"] = len(manifest.contributions.commands or ())
        try:
            manifest.validate_imports()
        except (ImportError, ValueError, AttributeError) as error:
            facts["error"] = str(error).splitlines()[0]
    sys.stdout.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()
