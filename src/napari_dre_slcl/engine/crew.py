"""The other processes of a training on several devices: each encodes a share of the tiles.

The process of the training keeps all else to itself: slides, bank, losses, optimiser and files. It
starts the others, gives them the encoder's weights, and ends them; when it is killed, they end.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.crew_process import CrewProcess
from napari_dre_slcl.engine.crew_wire import (
    STORE,
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
        self._others: dict[int, CrewProcess] = {}
        self._facts = _facts(config, method.net.encoder, self._device) | {"threads": share}

    def start(self) -> None:
        """Start the other processes; they get ready while this one goes on."""
        for rank in range(1, self.size):
            name = f"Process {rank + 1} of the {self.size} that share the tiles"
            self._others[rank] = CrewProcess(name, self._folder, self._facts["threads"])
            self._others[rank].tell("begin", **self._facts, number=rank)

    def push(self, encoder: nn.Module) -> None:
        """Give the others the weights and buffers of this process's encoder.

        What they were ordered before and nobody waited for, since memory ran out elsewhere, is
        over with.
        """
        for other in self._others.values():
            error = other.settle()
            _raise(None if isinstance(error, torch.OutOfMemoryError) else error)
        if not self._has_joined:
            with self._distributed():
                join_group(self._folder / STORE, 0, self.size, self._device)
            self._has_joined = True
        for rank in self._others:
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
        _raise(self._others[rank].settle())
        if tensor is None:
            self._others[rank].tell(do, **facts)
            return
        self._others[rank].tell(do, **tensor_facts(tensor), **facts)
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
        errors = [other.settle() for other in self._others.values()]
        _raise(next((error for error in errors if error is not None), None))

    def fetch(self, rank: int, shape: Sequence[int]) -> Tensor:
        """Return the (n, d) features of the tiles that a process was last ordered to encode."""
        self.order(rank, "features")
        with self._distributed():
            return receive_tensor(shape, "float32", rank, self._device)

    def add_gradients(self, encoder: nn.Module) -> None:
        """Add to an encoder's gradients what the others have found in their shares."""
        weights = [weight for weight in encoder.parameters() if weight.requires_grad]
        for rank in self._others:
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
        for other in self._others.values():
            other.dismiss(is_well=is_well)
        if dist.is_initialized() and self._has_joined:
            self._leave_group(is_well)
        for other in self._others.values():
            other.bury()
        shutil.rmtree(self._folder, ignore_errors=True)
        torch.set_num_threads(self._threads)

    def _leave_group(self, is_well: bool) -> None:
        if not is_well and self._device.type == "cuda":
            # To say farewell to processes that are gone takes NCCL for ever.
            dist.distributed_c10d._abort_process_group()
        else:
            dist.destroy_process_group()

    @contextmanager
    def _distributed(self) -> Iterator[None]:
        """Tell in a sentence why tensors could not be exchanged within a block."""
        try:
            yield
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            for other in self._others.values():
                if other.has_ended(within_s=1):
                    raise other.loss() from error
            reason = str(error).split("\n")[0]
            raise JobError(
                f"The processes of training.devices={self.size} cannot exchange features: "
                f"{reason}. Go on with 'dre-slcl resume --devices 1'."
            ) from error


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
        "feature_dim": encoder.in_dim if isinstance(encoder, FeatureAdapter) else None,
        "architecture": asdict(encoder.architecture) if isinstance(encoder, TileEncoder) else None,
    }


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error
