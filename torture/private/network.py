"""The row on the network: nothing that was run has tried to reach another machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from torture.plan import Plan
from torture.private.commands import calls_in, sealed_environment
from torture.row import Row

__all__ = ["network_row"]

_LIMIT_S = 1800.0
_PROBE = "import socket; socket.create_connection(('203.0.113.7', 80), 1)"


def network_row(plan: Plan, n_commands: int, home: Path, *, has_demo: bool) -> Row:
    """Count the commands that ran cut off, and with ``has_demo`` the whole demonstration.

    Parameters
    ----------
    plan : Plan
        Seed, share and folder.
    n_commands : int
        That were run so far.
    home : Path
        Where their process has written down what it tried to reach.
    has_demo : bool
        Also run ``dre-slcl demo``, with napari.
    """
    problems = [] if _is_sealed(plan) else ["the seal does not hold: a connection was not refused"]
    calls = list(calls_in(home))
    if has_demo:
        plan.say("private: the demonstration without network")
        said, tried = _demonstrate(plan)
        problems += said
        calls += tried
    n_tried = n_commands + has_demo
    lost = len(calls) + len(problems)
    what = "no network: all commands" + (", the demonstration" if has_demo else "")
    told = "; ".join([*problems, *calls][:3])
    return Row(what, n_tried, max(0, n_tried - lost), lost, plan.seed, told)


def _demonstrate(plan: Plan) -> tuple[list[str], tuple[str, ...]]:
    """Run the demonstration; return what went wrong, and what it tried to reach."""
    home, out = plan.folder / "cut-off", plan.folder / "demo"
    command = ["demo", "--out", str(out), "--slides", "24", "--no-window"]
    done = subprocess.run(
        [sys.executable, "-m", "napari_dre_slcl", *command],
        env=sealed_environment(home),
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    is_whole = (out / "summary.html").is_file()  # with so few slides its figures may be poor
    problems = [] if is_whole else [f"the demonstration failed: {done.stderr.strip()[-200:]}"]
    return problems, calls_in(home)


def _is_sealed(plan: Plan) -> bool:
    """Try to get out, so that a seal which holds nothing is not believed."""
    home = plan.folder / "seal"
    done = subprocess.run(
        [sys.executable, "-c", _PROBE],
        env=sealed_environment(home),
        capture_output=True,
        timeout=60,
        check=False,
    )
    return b"refuses all connections" in done.stderr and len(calls_in(home)) == 1
