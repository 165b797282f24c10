"""What the warm process is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Ended", "Order"]


@dataclass(frozen=True, slots=True)
class Order:
    """A command line to run, and when to kill it.

    Parameters
    ----------
    argv : list of str
        Arguments of ``dre-slcl``.
    below : str
        Changes to files are counted below this folder.
    log : str
        File that gets what the command says.
    after_s : float
        Kill it after so many seconds; 0 for not.
    at_change : int
        Kill it before its change of this number to a file; 0 for not.
    in_stage : (str, int)
        Kill it at the progress of this number in this stage; the command tells it as JSON lines.
    victim : str
        Kill in its place a process that it has started whose command line has these words.
    which : int
        Of such processes.
    """

    argv: list[str]
    below: str
    log: str
    after_s: float = 0.0
    at_change: int = 0
    in_stage: tuple[str, int] = ("", 0)
    victim: str = ""
    which: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Parameters
    ----------
    code : int
        Exit code; -9 for killed.
    seconds : float
        How long it ran.
    changes : int
        Changes to files, where it was not killed.
    stages : dict
        How often each stage told its progress.
    orphans_s : float
        How long processes that it had started lived on; infinite for longer than half a minute.
    was_killed : bool
        Whether it, or its victim, was.
    """

    code: int
    seconds: float
    changes: int = 0
    stages: dict[str, int] = field(default_factory=dict)
    orphans_s: float = 0.0
    was_killed: bool = False
