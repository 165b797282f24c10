"""The other processes of a training on several devices: each encodes a share of the tiles.

The process of the training keeps all else to itself: slides, bank, losses, optimiser and files. It
starts the others, gives them the encoder's weights, and ends them; when it is killed, they end.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.crew_wire import (
    STORE,
    Link,
    flat_gradients,
    flat_state,
    join_group,
    put_gradients,
    receive_tensor,
    send_tensor,
    tensor_facts,
)
from napari_dre_slcl.engine.fresh_tiles import is_out_of_memory
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.methods.dre_slcl import DreSlcl
from napari_dre_slcl.model.encoders import normalises_by_batch
from napari_dre_slcl.model.feature_adapter import FeatureAdapter
from napari_dre_slcl.model.tile_encoder import TileEncoder

__all__ = ["Crew", "crew_for"]

_MEMBER = "napari_dre_slcl.engine.crew_member"
_PATIENCE_S = 10.0


@dataclass(slots=True)
class _Member:
    """Another process, as this one sees it."""

    process: subprocess.Popen[bytes]
    link: Link
    awaited: list[str] = field(default_factory=list)
    """Orders that it has not answered yet."""


@contextmanager
def crew_for(config: DreSlclConfig, method: DreSlcl, reporter: Reporter) -> Iterator[Crew | None]:
    """Have the processes of ``training.devices`` for the length of a block; None for one device.

    Parameters
    ----------
    config : DreSlclConfig
        Settings.
    method : DreSlcl
        Its network is on its device.
    reporter : Reporter
        Told of the processes, and where results differ from those of one device.
    """
    if config.training.devices == 1:
        yield None
        return
    crew = Crew(config, method)
    is_well = False
    try:
        crew.start()
        _say(crew, method, reporter)
        yield crew
        is_well = True
    finally:
        crew.close(is_well=is_well)


class Crew:
    """Starts the other processes, and orders them about.

    Parameters
    ----------
    config : DreSlclConfig
        ``training.devices`` counts this process too.
    method : DreSlcl
        Network and device.

    Attributes
    ----------
    size : int
        Number of processes, this one included; the others are numbered from 1.
    """

    def __init__(self, config: DreSlclConfig, method: DreSlcl) -> None:
        if dist.is_initialized():
            raise JobError(
                "This process takes part in a distributed torch job already, so it cannot start "
                "others for training.devices. Set it to 1, or train in a process of its own."
            )
        self.size = config.training.devices
        self._device = method.device
        self._folder = Path(tempfile.mkdtemp(prefix="dre-slcl-"))
        self._threads = torch.get_num_threads()
        share = max(1, self._threads // self.size) if self._device.type == "cpu" else self._threads
        torch.set_num_threads(share)
        self._has_joined = False
        self._members: dict[int, _Member] = {}
        self._facts = _facts(config, method.net.encoder, self._device) | {"threads": share}

    def start(self) -> None:
        """Start the other processes; they get ready while this one goes on."""
        for rank in range(1, self.size):
            self._members[rank] = self._start_one()
            self._tell(rank, "begin", **self._facts, number=rank)

    def push(self, encoder: nn.Module) -> None:
        """Give the others the weights and buffers of this process's encoder.

        What they were ordered before and nobody waited for, since memory ran out elsewhere, is
        over with.
        """
        for rank in self._members:
            error = self._settle(rank)
            self._raise(None if isinstance(error, torch.OutOfMemoryError) else error)
        if not self._has_joined:
            with self._distributed():
                join_group(self._folder / STORE, 0, self.size, self._device)
            self._has_joined = True
        for rank in self._members:
            self.order(rank, "weights")
        with self._distributed():
            dist.broadcast(flat_state(encoder), 0)

    def order(self, rank: int, do: str, tensor: Tensor | None = None, **facts: Any) -> None:
        """Give a process an order, and the tensor that belongs to it.

        Raises
        ------
        JobError
            If the process has ended, or could not carry out an earlier order.
        """
        self._raise(self._settle(rank))
        if tensor is None:
            self._tell(rank, do, **facts)
            return
        self._tell(rank, do, **tensor_facts(tensor), **facts)
        with self._distributed():
            send_tensor(tensor, rank, self._device)

    def wait(self) -> None:
        """Wait until all orders are carried out.

        Raises
        ------
        JobError
            If a process has ended or met an error.
        torch.OutOfMemoryError
            If its memory ran out; it goes on.
        """
        errors = [self._settle(rank) for rank in self._members]
        self._raise(next((error for error in errors if error is not None), None))

    def fetch(self, rank: int, shape: Sequence[int]) -> Tensor:
        """Return the (n, d) features of the tiles that a process was last ordered to encode."""
        self.order(rank, "features")
        with self._distributed():
            return receive_tensor(shape, "float32", rank, self._device)

    def add_gradients(self, encoder: nn.Module) -> None:
        """Add to an encoder's gradients what the others have found in their shares."""
        weights = [weight for weight in encoder.parameters() if weight.requires_grad]
        for rank in self._members:
            self.order(rank, "gradients")
        total = flat_gradients(weights)
        with self._distributed():
            dist.reduce(total, 0)
        put_gradients(weights, total)

    def encode(
        self, encode_own: Callable[[Tensor], Tensor], parts: Sequence[Tensor], dim: int
    ) -> list[Tensor]:
        """Encode up to `size` groups of tiles without gradient, one in each process.

        Parameters
        ----------
        encode_own : callable
            (n, ...) tiles as they were read to (n, d) features on the CPU.
        parts : sequence of Tensor
            Groups of tiles; the weights must have been given by `push`.
        dim : int
            Width d of a feature.
        """
        for rank, part in enumerate(parts[1:], start=1):
            self.order(rank, "encode", part)
        own = encode_own(parts[0])
        self.wait()
        others = [self.fetch(at, (len(part), dim)) for at, part in enumerate(parts[1:], start=1)]
        return [own, *(features.cpu() for features in others)]

    def close(self, *, is_well: bool) -> None:
        """End the other processes.

        Parameters
        ----------
        is_well : bool
            Let them end what they do; else they are killed.
        """
        for member in self._members.values():
            with contextlib.suppress(OSError):
                if is_well:
                    member.link.send(do="end")
                else:
                    member.process.kill()
        if dist.is_initialized() and self._has_joined:
            self._leave_group(is_well)
        for member in self._members.values():
            _bury(member)
        shutil.rmtree(self._folder, ignore_errors=True)
        torch.set_num_threads(self._threads)

    def _leave_group(self, is_well: bool) -> None:
        if not is_well and self._device.type == "cuda":
            # To say farewell to processes that are gone takes NCCL for ever.
            dist.distributed_c10d._abort_process_group()
        else:
            dist.destroy_process_group()

    def _start_one(self) -> _Member:
        ours, theirs = multiprocessing.Pipe()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", _MEMBER, str(theirs.fileno()), str(self._folder)],
                stdin=subprocess.PIPE,  # its end tells the process that this one is gone
                stdout=2,
                pass_fds=[theirs.fileno()],
                env=os.environ | {"OMP_NUM_THREADS": str(self._facts["threads"])},
            )
        return _Member(process, Link(ours))

    def _tell(self, rank: int, do: str, **facts: Any) -> None:
        try:
            self._members[rank].link.send(do=do, **facts)
        except OSError as error:
            raise self._loss(rank) from error
        self._members[rank].awaited.append(do)

    def _settle(self, rank: int) -> Exception | None:
        """Wait for the answers that a process owes; return the last error that it tells of."""
        member, found = self._members[rank], None
        while member.awaited:
            try:
                answer = member.link.receive()
            except (EOFError, OSError) as error:
                raise self._loss(rank) from error
            member.awaited.pop(0)
            if "error" in answer:
                found = self._error(rank, answer)
        return found

    def _error(self, rank: int, answer: dict[str, Any]) -> Exception:
        if answer["error"] == "memory":
            return torch.OutOfMemoryError(f"{self._name(rank)}: {answer['text']}")
        return JobError(f"{self._name(rank)} met an error: {answer['text']}")

    def _raise(self, error: Exception | None) -> None:
        if error is not None:
            raise error

    @contextmanager
    def _distributed(self) -> Iterator[None]:
        """Tell in a sentence why tensors could not be exchanged within a block."""
        try:
            yield
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            for rank, member in self._members.items():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    member.process.wait(timeout=1)
                    raise self._loss(rank) from error
            reason = str(error).split("\n")[0]
            raise JobError(
                f"The processes of training.devices={self.size} cannot exchange features: "
                f"{reason}. Go on with 'dre-slcl resume --devices 1'."
            ) from error

    def _loss(self, rank: int) -> JobError:
        process = self._members[rank].process
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_PATIENCE_S)
        code = process.returncode
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return JobError(
            f"{self._name(rank)} has ended ({how}), so training stopped. Go on from the last "
            "checkpoint with 'dre-slcl resume'; '--devices 1' needs no other process."
        )

    def _name(self, rank: int) -> str:
        return f"Process {rank + 1} of the {self.size} that share the tiles"


def _say(crew: Crew, method: DreSlcl, reporter: Reporter) -> None:
    kind = "GPUs" if method.device.type == "cuda" else "processes of the CPU"
    reporter.log(f"Tiles are shared out over {crew.size} {kind}.")
    if normalises_by_batch(method.net.encoder):
        reporter.log(
            "The tile encoder normalises by batch, and each process by its share of the tiles "
            "alone: results differ from those of one device.",
            "warning",
        )


def _facts(
    config: DreSlclConfig, encoder: TileEncoder | FeatureAdapter, device: torch.device
) -> dict[str, Any]:
    """Return what another process builds its encoder from."""
    return {
        "config": config.model_dump(mode="json"),
        "size": config.training.devices,
        "device": device.type,
        "feature_dim": encoder.dim if isinstance(encoder, FeatureAdapter) else None,
        "architecture": asdict(encoder.architecture) if isinstance(encoder, TileEncoder) else None,
    }


def _bury(member: _Member) -> None:
    try:
        member.process.wait(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        member.process.kill()
        member.process.wait()
    member.link.close()
    if member.process.stdin is not None:
        member.process.stdin.close()
