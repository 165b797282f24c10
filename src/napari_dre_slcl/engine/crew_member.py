"""A process that encodes its share of the tiles, as the process of the training orders.

``python -m napari_dre_slcl.engine.crew_member SOCKET FOLDER`` is started by `engine.crew`. It knows
the tile encoder alone: slides, bank, losses and optimiser are the business of the one that orders.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.crew_wire import (
    STORE,
    Link,
    flat_gradients,
    flat_state,
    join_group,
    put_state,
    receive_tensor,
    send_tensor,
)
from napari_dre_slcl.engine.fresh_features import FreshFeatures
from napari_dre_slcl.engine.fresh_tiles import free_device_memory, is_out_of_memory
from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.methods.dre_slcl import encode_without_gradient
from napari_dre_slcl.model.backbone import Architecture
from napari_dre_slcl.model.encoders import build_encoder
from napari_dre_slcl.model.seeds import seed_everything

__all__ = ["main"]

_MAIN = 0


class _Member:
    """Holds a copy of the encoder, and what the last order has made of it."""

    def __init__(self, facts: dict[str, Any], folder: Path) -> None:
        config = DreSlclConfig.model_validate(facts["config"])
        self._seed, self._rank = config.training.seed, int(facts["number"])
        self._size, self._store = int(facts["size"]), folder / STORE
        self._device = torch.device(facts["device"])
        if self._device.type == "cuda":
            self._device = torch.device("cuda", self._rank)
            torch.cuda.set_device(self._device)
        architecture = Architecture(**facts["architecture"]) if facts["architecture"] else None
        self._encoder = build_encoder(config, facts["feature_dim"], architecture).to(self._device)
        self._encoder.get_ready()
        self._weights = [x for x in self._encoder.parameters() if x.requires_grad]
        self._fresh: FreshFeatures | None = None
        self._features = torch.empty(0)

    def join(self) -> None:
        join_group(self._store, self._rank, self._size, self._device)

    def obey(self, order: dict[str, Any]) -> None:
        """Carry out one order; tensors that belong to it follow it or go back after it."""
        orders: dict[str, Callable[[dict[str, Any]], None]] = {
            "weights": self._take_weights,
            "encode": self._encode,
            "forward": self._forward,
            "features": self._send_features,
            "backward": self._backward,
            "gradients": self._send_gradients,
        }
        orders[order["do"]](order)

    def _take_weights(self, order: dict[str, Any]) -> None:
        vector = flat_state(self._encoder)
        dist.broadcast(vector, _MAIN)
        put_state(self._encoder, vector)

    def _encode(self, order: dict[str, Any]) -> None:
        tiles = self._receive(order)
        self._encoder.eval()
        self._features = encode_without_gradient(self._encoder, tiles, self._device)

    def _forward(self, order: dict[str, Any]) -> None:
        inputs, step = self._receive(order), int(order["step"])
        self._let_go()
        self._encoder.train()
        self._fresh = FreshFeatures(
            self._encoder,
            inputs,
            order["chunk"],
            lambda chunk: seed_everything(
                self._seed, "dropout", step, "encoder", self._rank, chunk
            ),
            is_trainable=self._encoder.is_trainable,
        )
        self._features = self._fresh.values.detach()

    def _send_features(self, order: dict[str, Any]) -> None:
        send_tensor(self._features, _MAIN, self._device)
        self._features = torch.empty(0)

    def _backward(self, order: dict[str, Any]) -> None:
        gradient = self._receive(order)
        assert self._fresh is not None
        self._fresh.values.grad = gradient
        self._fresh.backward(torch.autograd.backward)
        self._fresh = None

    def _send_gradients(self, order: dict[str, Any]) -> None:
        dist.reduce(flat_gradients(self._weights), _MAIN)
        self._let_go()

    def _let_go(self) -> None:
        self._fresh = None
        self._encoder.zero_grad(set_to_none=True)

    def _receive(self, order: dict[str, Any]) -> Tensor:
        return receive_tensor(order["shape"], order["dtype"], _MAIN, self._device)


def main(argv: list[str] | None = None) -> int:
    """Obey until the end.

    Parameters
    ----------
    argv : list of str, optional
        Number of the inherited socket, and a folder that is this training's own; the process's
        own arguments by default.

    Returns
    -------
    int
        0 when it was told to end, 1 when the training's process is gone or it could not begin.
    """
    socket, folder = sys.argv[1:] if argv is None else argv
    _leave_signals_to_the_training()
    threading.Thread(target=_end_with_the_training, args=(Path(folder),), daemon=True).start()
    link = Link(Connection(int(socket)))
    try:
        facts = link.receive()
        torch.set_num_threads(int(facts["threads"]))
        try:
            member = _Member(facts, Path(folder))
        except DreSlclError as error:
            link.send(error="other", text=str(error))
            return 1
        link.send()
        member.join()
        return _serve(member, link)
    except (EOFError, ConnectionError):
        shutil.rmtree(folder, ignore_errors=True)
        return 1


def _serve(member: _Member, link: Link) -> int:
    while (order := link.receive())["do"] != "end":
        try:
            member.obey(order)
        except (DreSlclError, RuntimeError, MemoryError) as error:
            kind = "memory" if is_out_of_memory(error) else "other"
            answer = {"error": kind, "text": str(error).strip().split("\n")[0]}
        else:
            answer = {}
        if answer:
            free_device_memory()
        link.send(**answer)
    dist.destroy_process_group()
    return 0


def _leave_signals_to_the_training() -> None:
    """Ctrl-C and a cluster's signals reach all processes; one alone decides what they mean."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _end_with_the_training(folder: Path) -> None:
    """Wait for the end of standard input, which the training's process holds as long as it lives.

    Whatever this process does then, it ends: a training that was killed leaves nobody behind.
    """
    while os.read(0, 1):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
