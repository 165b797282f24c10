"""Private data: identifiers are sown into slides and reports, then looked for in what is made."""

from torture.private.run import run

__all__ = ["run"]
