"""The command ``dre-slcl``: one subcommand per job, heavy imports only inside the subcommands."""

from napari_dre_slcl.cli.app import main

__all__ = ["main"]
