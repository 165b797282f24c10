"""What passes between a training and the processes that share its tiles.

Orders and answers go as JSON over a private pair of sockets, never as pickles. Tensors go through
torch.distributed: NCCL between GPUs, Gloo over the loopback between processes of the CPU.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = [
    "STORE",
    "Link",
    "flat_gradients",
    "flat_state",
    "join_group",
    "put_gradients",
    "put_state",
    "receive_tensor",
    "send_tensor",
    "tensor_facts",
]

STORE = "rendezvous"
"""File in a folder of the training's own, where the processes meet."""

_PATIENCE = timedelta(minutes=2)
_LOOPBACK = {"linux": "lo", "darwin": "lo0"}


class Link:
    """One end of the line of orders and answers.

    Parameters
    ----------
    connection : Connection
        Of a pair of sockets that nobody else has.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, **message: Any) -> None:
        """Send a message; OSError where the other end is gone."""
        self._connection.send_bytes(json.dumps(message).encode())

    def receive(self) -> dict[str, Any]:
        """Wait for a message; EOFError or OSError where the other end is gone."""
        message: dict[str, Any] = json.loads(self._connection.recv_bytes())
        return message

    def close(self) -> None:
        """Close this end."""
        self._connection.close()


def join_group(store: Path, rank: int, size: int, device: torch.device) -> None:
    """Meet the other processes; all must call it.

    Parameters
    ----------
    store : Path
        A file that all can write, in a folder that nobody else can.
    rank : int
        Of this process; the training's own is 0.
    size : int
        Number of processes.
    device : torch.device
        Where this process's tensors are.
    """
    with _loopback():
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            init_method=store.absolute().as_uri(),
            rank=rank,
            world_size=size,
            timeout=_PATIENCE,
        )


def tensor_facts(tensor: Tensor) -> dict[str, Any]:
    """Return what the other end must know to receive a tensor."""
    return {"shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}


def send_tensor(tensor: Tensor, rank: int, device: torch.device) -> None:
    """Send a tensor to a process that was told its `tensor_facts`."""
    dist.send(tensor.to(device).contiguous(), rank)


def receive_tensor(shape: Sequence[int], dtype: str, rank: int, device: torch.device) -> Tensor:
    """Return a tensor that a process sends."""
    tensor = torch.empty(tuple(shape), dtype=getattr(torch, dtype), device=device)
    dist.recv(tensor, rank)
    return tensor


def flat_state(module: nn.Module) -> Tensor:
    """Return all weights and floating-point buffers of a module in one vector."""
    return torch.cat([tensor.detach().flatten() for tensor in _state(module)])


@torch.no_grad()
def put_state(module: nn.Module, vector: Tensor) -> None:
    """Set a module's weights and buffers to a vector of `flat_state`."""
    tensors = list(_state(module))
    parts = torch.split(vector, [tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view(tensor.shape))


def flat_gradients(weights: Iterable[nn.Parameter]) -> Tensor:
    """Return the gradients of weights in one vector, zeros where there is none."""
    return torch.cat(
        [(torch.zeros_like(x) if x.grad is None else x.grad).flatten() for x in weights]
    )


def put_gradients(weights: Sequence[nn.Parameter], vector: Tensor) -> None:
    """Set the gradients of weights to a vector of `flat_gradients`, where they have one."""
    parts = torch.split(vector, [weight.numel() for weight in weights])
    for weight, part in zip(weights, parts, strict=True):
        if weight.grad is not None:
            weight.grad.copy_(part.view(weight.shape))


def _state(module: nn.Module) -> Iterator[Tensor]:
    return (tensor for tensor in module.state_dict().values() if tensor.is_floating_point())


@contextmanager
def _loopback() -> Iterator[None]:
    """Keep Gloo away from the network for the length of a block."""
    name, before = "GLOO_SOCKET_IFNAME", os.environ.get("GLOO_SOCKET_IFNAME")
    if before is None and sys.platform in _LOOPBACK:
        os.environ[name] = _LOOPBACK[sys.platform]
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
