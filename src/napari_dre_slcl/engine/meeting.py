"""Where the processes of a training meet: each says who it is, and the first one says who may stay.

Everything that a user can get wrong about several processes is found here, in bounded time, before
torch and its libraries try to join them.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from torch.distributed import TCPStore  # type: ignore[attr-defined]

from napari_dre_slcl.engine.card import Card
from napari_dre_slcl.engine.placement import Place
from napari_dre_slcl.engine.watch import listen
from napari_dre_slcl.errors import JobError

__all__ = ["Meeting", "patience_s"]

_LOOK_EVERY_S = 0.1
_FAREWELL_S = 3.0
_KEYS = "dre-slcl/"


def patience_s() -> float:
    """Return how long processes wait for each other: ``DRE_SLCL_JOIN_S``, else a minute."""
    with suppress(ValueError):
        return max(1.0, float(os.environ.get("DRE_SLCL_JOIN_S", "60")))
    return 60.0


class Meeting:
    """A store that all processes reach; the first one keeps it, unless torchrun does.

    Parameters
    ----------
    place : Place
        Of this process.
    address, port : str and int
        Of the store. Port 0 takes any that is free; the first process alone can do so.
    within_s : float, optional
        How long to wait for others; `patience_s` by default.

    Attributes
    ----------
    address, port : str and int
        Of the store.

    Raises
    ------
    JobError
        If the port is taken, or the store does not answer.
    """

    def __init__(
        self, place: Place, address: str, port: int, within_s: float | None = None
    ) -> None:
        self._place = place
        self.address, self._where = address, f"{address}:{port}"
        self._keeps = place.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
        # An agent of torchrun that starts processes again keeps its store.
        self._round = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._within_s = patience_s() if within_s is None else within_s
        self._end_s = time.monotonic() + self._within_s
        listener = _listener(address, port) if self._keeps else None
        if listener is None:
            self.port = port
        else:
            self.port = int(listener.getsockname()[1])
        self._where = f"{address}:{self.port}"
        self._knock(address, self.port)
        try:
            self._store = TCPStore(
                address,
                self.port,
                None,
                self._keeps,
                timedelta(seconds=self._within_s),
                wait_for_workers=False,
                multi_tenant=True,
                master_listen_fd=None if listener is None else listener.detach(),
            )
        except RuntimeError as error:
            raise JobError(self._silence()) from error

    def say(self, card: Card) -> None:
        """Put down the card of this process."""
        self._write(f"card/{self._place.rank}", asdict(card))

    def cards(self, check: Callable[[], str]) -> list[Card]:
        """Wait for the cards of all; the first process calls this.

        Parameters
        ----------
        check : callable
            Asked often; a sentence from it ends the wait.

        Raises
        ------
        JobError
            If a card is missing in the end.
        """
        found = []
        for rank in range(self._place.size):
            key = f"card/{rank}"
            while not self._store.check([self._key(key)]):
                if problem := check():
                    raise JobError(problem)
                if time.monotonic() > self._end_s:
                    raise JobError(
                        f"Process {rank + 1} of {self._place.size} has not come to {self._where} "
                        f"within {self._within_s:.0f} s. Look at its own output; start all "
                        "processes at about the same time, or set DRE_SLCL_JOIN_S to more seconds."
                    )
                time.sleep(_LOOK_EVERY_S)
            said = self._read(key)
            found.append(Card(**{name: str(said.get(name, "")) for name in Card.__slots__}))
        return found

    def judge(self, verdict: dict[str, Any]) -> None:
        """Tell all what becomes of the meeting; the first process calls this."""
        self._write("verdict", verdict)

    def dissolve(self, problem: str) -> None:
        """Tell all why there is no training, and wait a little until they know."""
        with suppress(RuntimeError, JobError):
            self.judge({"problem": problem})
            heard = [self._key(f"heard/{rank}") for rank in range(1, self._place.size)]
            end_s = time.monotonic() + _FAREWELL_S
            while self._keeps and time.monotonic() < end_s and not self._store.check(heard):
                time.sleep(_LOOK_EVERY_S)

    def verdict(self) -> dict[str, Any]:
        """Wait for what the first process tells.

        Raises
        ------
        JobError
            If it tells nothing.
        """
        try:
            found: dict[str, Any] = self._read("verdict")
            self._write(f"heard/{self._place.rank}", True)
        except RuntimeError as error:
            raise JobError(self._silence()) from error
        return found

    def _knock(self, address: str, port: int) -> None:
        """Wait until somebody listens; torch's own attempts would write to the terminal."""
        while True:
            try:
                socket.create_connection((address, port), timeout=5).close()
                return
            except OSError as error:
                if time.monotonic() > self._end_s:
                    raise JobError(self._silence()) from error
                time.sleep(_LOOK_EVERY_S * 2)

    def _silence(self) -> str:
        if self._keeps:
            return (
                f"The first process of the training does not reach itself at {self._where} within "
                f"{self._within_s:.0f} s. Set MASTER_ADDR to an address of the machine that has "
                "NODE_RANK 0."
            )
        return (
            f"The first process of the training does not answer at {self._where} within "
            f"{self._within_s:.0f} s. Check that it runs, that MASTER_ADDR and MASTER_PORT are the "
            "same everywhere, and that no firewall lies between."
        )

    def _key(self, name: str) -> str:
        return f"{_KEYS}{self._round}/{name}"

    def _write(self, name: str, message: Any) -> None:
        try:
            self._store.set(self._key(name), json.dumps(message))
        except RuntimeError as error:
            raise JobError(self._silence()) from error

    def _read(self, name: str) -> Any:
        return json.loads(self._store.get(self._key(name)))


def _listener(address: str, port: int) -> socket.socket:
    try:
        return listen(port, is_local=address in ("127.0.0.1", "localhost"))
    except OSError as error:
        raise JobError(
            f"Port {port} of '{address}', where the processes of the training are to meet, cannot "
            f"be used: {os.strerror(error.errno or 0)}. Set MASTER_PORT to one that is free."
        ) from error
