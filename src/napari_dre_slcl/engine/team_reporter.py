"""How the processes of one training stop and hold still together, as the first one was asked to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from napari_dre_slcl.engine.reporter import OnEvent, Reporter, ShouldPause, ShouldStop, Stopped
from napari_dre_slcl.engine.run_folder import run_lock
from napari_dre_slcl.engine.shared_folder import check_shared_folder
from napari_dre_slcl.engine.world import World
from napari_dre_slcl.errors import DreSlclError, JobError

__all__ = ["Elsewhere", "TeamReporter", "owned_folder", "team_reporter"]

Done = TypeVar("Done")
_LOOK_EVERY_S = 0.1


class Elsewhere(JobError):
    """Another process cannot go on.

    Parameters
    ----------
    name, sentence : str
        Which one, and its own sentence.
    """

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(f"{name}: {sentence}")
        self.sentence = sentence


class TeamReporter(Reporter):
    """A reporter that asks the first process whether to stop, in all processes at the same place.

    Parameters
    ----------
    on_event : callable
        Gets each event; in the first process alone.
    should_stop, should_pause : callable
        What the user wants; asked in the first process alone.
    world : World
        The processes.
    """

    def __init__(
        self,
        on_event: OnEvent,
        should_stop: ShouldStop,
        should_pause: ShouldPause,
        world: World,
    ) -> None:
        is_main = world.is_main
        super().__init__(
            on_event if is_main else lambda event: None, self._is_to_stop, self._is_to_pause
        )
        self._world = world
        self._wants_stop = should_stop if is_main else lambda: False
        self._wants_pause = should_pause if is_main else lambda: False
        self._is_in_step = False
        self._wish = ""
        self._last = ("", 0, 0, "")

    def progress(self, stage: str, done: int, total: int, message: str = "") -> None:
        """As of `Reporter`; also raises where another process has ended."""
        lost = self._world.watch.lost() if self._world.watch is not None else None
        if lost is not None:
            raise JobError(lost)
        self._last = (stage, done, total, message)
        if self._is_in_step:
            self._agree()
        super().progress(*self._last)

    @contextmanager
    def in_step(self) -> Iterator[None]:
        """Have every process call `progress` as often as the others within the block."""
        self._is_in_step = True
        try:
            yield
        finally:
            self._is_in_step = False

    def each(self, work: Callable[[], Done]) -> Done:
        """Do work in every process that tells its progress as often as it likes.

        Raises
        ------
        Stopped
            In all, where the user wants it.
        DreSlclError
            In all, where one fails.
        """
        with self.in_step():
            try:
                done = work()
            except Elsewhere:
                raise
            except DreSlclError as error:
                self._agree(is_done=True, problem=str(error))
                raise
            while not all(one["done"] for one in self._agree(is_done=True)):
                if self._wish:  # hold still or stop as those do that are still at it
                    super().progress(*self._last)
        return done

    def telling_all(self, save: Callable[[], None]) -> Callable[[], None]:
        """As of `Reporter`."""

        def save_all() -> None:
            self._world.from_main({"do": "save"})
            save()

        return save_all

    def by_main(self, work: Callable[[], Done]) -> Done:
        """Do work in the first process while the others wait, and return its answer in all.

        Parameters
        ----------
        work : callable
            Its answer must be such as JSON can hold. It may tell its progress, and so stop or
            hold still; what is to be saved then is saved in all processes.

        Raises
        ------
        Stopped, DreSlclError
            In all, where the work raised it.
        """
        if not self._world.is_main:
            answer: Done = self._follow()
            return answer
        save = self._on_hold
        end: dict[str, Any] = {"do": "problem", "text": "it has ended"}
        try:
            with self.saving(None if save is None else self.telling_all(save)):
                done = work()
            end = {"do": "done", "value": done}
        except Stopped:
            end = {"do": "stopped"}
            raise
        except DreSlclError as error:
            end = {"do": "problem", "text": str(error)}
            raise
        finally:
            self._world.from_main(end)
        return done

    def _follow(self) -> Any:
        while (order := self._world.from_main())["do"] == "save":
            if self._on_hold is not None:
                self._on_hold()
        if order["do"] == "stopped":
            raise Stopped
        if order["do"] == "problem":
            raise JobError(order["text"])
        return order["value"]

    def _agree(self, *, is_done: bool = False, problem: str = "") -> list[dict[str, Any]]:
        wish = "stop" if self._wants_stop() else "pause" if self._wants_pause() else ""
        told = self._world.exchange({"wish": wish, "done": is_done, "problem": problem})
        for rank, one in enumerate(told):
            if one["problem"] and not problem:
                raise Elsewhere(self._world.name(rank), one["problem"])
        self._wish = told[0]["wish"]
        return told

    def _wait_for_user(self) -> None:
        if not self._is_in_step:
            super()._wait_for_user()
        while self._is_in_step and self._wish == "pause":
            time.sleep(_LOOK_EVERY_S)
            self._agree()

    def _is_to_stop(self) -> bool:
        return self._wish == "stop" if self._is_in_step else self._wants_stop()

    def _is_to_pause(self) -> bool:
        return self._wish == "pause" if self._is_in_step else self._wants_pause()


def team_reporter(
    on_event: OnEvent, should_stop: ShouldStop, should_pause: ShouldPause, world: World
) -> Reporter:
    """Return the reporter of a training by one process, or by several."""
    if world.size == 1:
        return Reporter(on_event, should_stop, should_pause)
    return TeamReporter(on_event, should_stop, should_pause, world)


@contextmanager
def owned_folder(run_dir: Path, world: World, reporter: Reporter) -> Iterator[None]:
    """Keep a run folder to the processes of this training; the first one holds the lock."""
    with ExitStack() as held:

        def take() -> None:
            check = held.enter_context(run_lock(run_dir, reporter.log))
            held.enter_context(reporter.asking(check))

        world.main_does(take)
        check_shared_folder(world, run_dir)
        yield
