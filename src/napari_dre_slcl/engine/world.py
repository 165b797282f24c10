"""World: the processes of one training, and what little passes between them.

Each process owns some slides, with their tiles and rows of the memory bank. Slide vectors are
gathered, with gradient, and every process computes the loss of all of them; then gradients are
added up. Features of tiles never travel.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from napari_dre_slcl.engine.fresh_tiles import is_out_of_memory
from napari_dre_slcl.errors import DreSlclError, JobError

__all__ = ["SOLO", "Watch", "World"]

Done = TypeVar("Done")
_JSON = (str, int, float, dict, list)


def _go_on() -> None:
    """Let what is ready travel."""


class Watch(Protocol):
    """Looks after the other processes."""

    def lost(self) -> str | None:
        """Return the sentence for one that has ended before its time, None while all are well."""
        ...


class World:
    """One process's view of all.

    Parameters
    ----------
    rank, size : int
        Its number, from 0, and how many there are.
    device : torch.device
        Where its tensors are.
    control : torch.distributed.ProcessGroup, optional
        Over which messages go; a group of Gloo. Not needed by one process alone.
    watch : Watch, optional
        Looks after the others.
    """

    def __init__(
        self,
        rank: int = 0,
        size: int = 1,
        device: torch.device | None = None,
        control: Any = None,
        watch: Watch | None = None,
    ) -> None:
        self.rank = rank
        self.size = size
        self.device = device or torch.device("cpu")
        self._control = control
        self.watch = watch

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files of the run and speaks for all."""
        return self.rank == 0

    def wait(self, problem: str = "") -> None:
        """Wait until all have come so far; as `Team` says."""
        for rank, told in enumerate(self.exchange(problem)):
            if told:
                raise JobError(told if rank == self.rank else f"{self.name(rank)}: {told}")

    def name(self, rank: int) -> str:
        """Return what sentences call a process."""
        return f"Process {rank + 1} of {self.size}"

    def exchange(self, message: Any) -> list[Any]:
        """Return the messages of all, in the order of their ranks.

        Parameters
        ----------
        message : object
            What JSON can hold.
        """
        if self.size == 1:
            return [message]
        with self._connected():
            content = torch.frombuffer(bytearray(json.dumps(message).encode()), dtype=torch.uint8)
            lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
            dist.all_gather(lengths, torch.tensor([len(content)]), group=self._control)
            longest = max(int(length) for length in lengths)
            padded = torch.nn.functional.pad(content, (0, longest - len(content)))
            parts = [torch.empty_like(padded) for _ in range(self.size)]
            dist.all_gather(parts, padded, group=self._control)
        return [
            json.loads(bytes(part[: int(length)].numpy()))
            for part, length in zip(parts, lengths, strict=True)
        ]

    def any(self, is_so: bool) -> bool:
        """Return whether something is so in any of the processes."""
        if self.size == 1:
            return is_so
        found = torch.tensor([int(is_so)])
        with self._connected():
            dist.all_reduce(found, op=dist.ReduceOp.MAX, group=self._control)
        return bool(found)

    def all_do(self, work: Callable[[], Done]) -> Done:
        """Do work that needs nobody else in every process, and raise in all if one fails.

        Raises
        ------
        DreSlclError
            Its own where the work failed here; a `JobError` that names the process elsewhere.
        """
        if self.size == 1:
            return work()
        failed: DreSlclError | None = None
        try:
            done = work()
        except DreSlclError as error:
            failed = error
        told = self.exchange(str(failed or ""))
        if failed is not None:
            raise failed
        for rank, problem in enumerate(told):
            if problem:
                raise JobError(f"{self.name(rank)}: {problem}")
        return done

    def main_does(self, work: Callable[[], Done]) -> Done | None:
        """Do work in the first process, and return its answer in all; None, if JSON cannot hold it.

        Raises
        ------
        DreSlclError
            The first process's, in all.
        """
        if self.size == 1:
            return work()
        if not self.is_main:
            problem, done = self.from_main()
            if problem:
                raise JobError(problem)
            answer: Done | None = done
            return answer
        try:
            made = work()
        except DreSlclError as error:
            self.from_main([str(error), None])
            raise
        self.from_main(["", made if isinstance(made, _JSON) else None])
        return made

    def from_main(self, message: Any = None) -> Any:
        """Return the message of the first process; what others give is not looked at."""
        return self.exchange(message if self.is_main else None)[0]

    def gather(
        self, rows: Tensor, counts: Sequence[int], on_ready: Callable[[], None] = _go_on
    ) -> Tensor:
        """Return the rows of all processes, in the order of their ranks, with gradient.

        Every process must then compute the same loss of them: the gradient of a process's own rows
        is what that loss gives for them, and nothing travels back.

        Parameters
        ----------
        rows : Tensor
            (counts[rank], d) of this process.
        counts : sequence of int
            Rows of each process.
        on_ready : callable
            Called once all memory is taken, before anything travels: who raises here or before
            leaves nobody waiting.

        Returns
        -------
        Tensor
            (sum of counts, d).
        """
        if self.size == 1:
            return rows
        with self._connected():
            gathered: Tensor = _Gather.apply(  # type: ignore[no-untyped-call]
                rows, list(counts), self.rank, on_ready
            )
        return gathered

    def add_gradients(
        self,
        weights: Sequence[nn.Parameter],
        repeated: Sequence[nn.Parameter],
        on_ready: Callable[[], None] = _go_on,
    ) -> None:
        """Give every process the gradient of the whole step.

        Parameters
        ----------
        weights : sequence of Parameter
            All that are trained.
        repeated : sequence of Parameter
            Those of them that come after `gather`: every process has found their whole gradient.
        on_ready : callable
            As of `gather`.
        """
        if self.size == 1 or not weights:
            return
        whole = {id(weight) for weight in repeated}
        has_gradient = [float(weight.grad is not None) for weight in weights]
        # In the weight's own memory layout, which a fused optimiser takes for granted.
        parts = [
            torch.zeros_like(weight)
            if weight.grad is None
            else torch.empty_like(weight).copy_(weight.grad)
            if weight.grad.stride() != weight.stride()
            else weight.grad
            for weight in weights
        ]
        flat = [
            (part / self.size if id(weight) in whole else part).flatten().float()
            for weight, part in zip(weights, parts, strict=True)
        ]
        total = torch.cat([*flat, torch.tensor(has_gradient, device=parts[0].device)])
        del flat
        on_ready()
        with self._connected():
            dist.all_reduce(total)
        *sums, found = torch.split(total, [*(weight.numel() for weight in weights), len(weights)])
        for weight, part, added, is_found in zip(weights, parts, sums, found.tolist(), strict=True):
            # A weight that no process used keeps no gradient: the optimiser passes it over.
            weight.grad = part.copy_(added.view(weight.shape)) if is_found else None

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor], weight: float) -> None:
        """Set tensors to their mean over all processes.

        Parameters
        ----------
        tensors : sequence of Tensor
            Of the same shapes everywhere.
        weight : float
            Of this process's; tensors keep their values where all weigh nothing.
        """
        if self.size == 1 or not tensors:
            return
        own = torch.cat([tensor.flatten() for tensor in tensors]).double() * weight
        total = torch.cat([own, own.new_tensor([weight])])
        with self._connected():
            dist.all_reduce(total)
        if total[-1] > 0:
            sizes = [tensor.numel() for tensor in tensors]
            means = torch.split(total[:-1] / total[-1], sizes)
            for tensor, mean in zip(tensors, means, strict=True):
                tensor.copy_(mean.view(tensor.shape))

    def copy_from_main(self, module: nn.Module) -> None:
        """Set weights and buffers of a module to those of the first process."""
        if self.size == 1:
            return
        with self._connected(), torch.no_grad():
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Tell in a sentence why nothing could be exchanged within a block."""
        try:
            yield
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            reason = str(error).split("\n")[0]
            raise JobError(
                f"{self.name(self.rank)} has lost the others, so training stopped: {reason} "
                "Go on from the last checkpoint with 'dre-slcl resume'."
            ) from error


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, counts: list[int], rank: int, on_ready: Callable[[], None]
    ) -> Tensor:
        ctx.counts, ctx.rank = counts, rank
        longest = max(counts)
        padded = torch.nn.functional.pad(rows, (0, 0, 0, longest - len(rows))).contiguous()
        parts = [torch.empty_like(padded) for _ in counts]
        on_ready()
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return torch.split(gradient, ctx.counts)[ctx.rank], None, None, None


SOLO = World()
"""The one process of a training on one device."""
