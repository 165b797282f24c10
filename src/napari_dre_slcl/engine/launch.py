"""Joins the processes of a training, whoever starts them, and tells when one is lost.

Fabric joins them: under torchrun, under SLURM, started by hand on each machine, or started here.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from napari_dre_slcl.atomic_file import scratch_file
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.crash import crash_sentence, crash_trace
from napari_dre_slcl.engine.device import choose_device
from napari_dre_slcl.engine.introduction import ToldElsewhere, introduced
from napari_dre_slcl.engine.placement import find_place, rank_given
from napari_dre_slcl.engine.process_group import (
    as_before,
    environment_of,
    free_collectives,
    join_groups,
    leave_groups,
)
from napari_dre_slcl.engine.reporter import Reporter, Stopped
from napari_dre_slcl.engine.second_signal import heard_while_waiting
from napari_dre_slcl.engine.watch import Hub
from napari_dre_slcl.engine.watch_line import Line
from napari_dre_slcl.engine.world import World
from napari_dre_slcl.errors import ConfigError, DreSlclError, JobError
from napari_dre_slcl.jobs.messages import ResumeJob, TrainJob
from napari_dre_slcl.plain_text import visible

__all__ = ["ToldElsewhere", "is_first", "joined_world"]

_FREE_AFTER_S, _LEAVE_AFTER_S, _LINGER_S = 2.0, 15.0, 3.0
_FAREWELL_S, _STOP_S = 30.0, 5.0


def is_first() -> bool:
    """Return whether this process is or will be the first one, before it has joined the others."""
    return rank_given() == 0


@contextmanager
def joined_world(
    job: TrainJob | ResumeJob, config: DreSlclConfig, reporter: Reporter
) -> Iterator[World]:
    """Have all processes of a training for the length of a block, which all of them run.

    Parameters
    ----------
    job : TrainJob or ResumeJob
        What the others run, where this process starts them.
    config : DreSlclConfig
        Settings, as `placed` returns them; ``training.devices`` and ``training.nodes`` say how
        many processes, unless torchrun or SLURM has started them.
    reporter : Reporter
        Asked whether to stop while the processes wait for each other. Gets the last word, where
        one was lost and this one cannot come back to say so.

    Yields
    ------
    World
        Of one process where there is one. Its ``watch`` tells when another is lost.

    Raises
    ------
    ConfigError, JobError
        If the processes cannot be joined, or one is lost within the block.
    Stopped
        If the user wants it before they are joined.
    ToldElsewhere
        In place of any error, in all processes but the first.
    """
    place = find_place(config.training)
    if place.size == 1:
        yield World(device=choose_device(config.training.device))
        return
    if config.method != "dre-slcl":
        raise ConfigError(
            f"The method '{config.method}' trains in one process, and {place.size} were asked for. "
            "Set training.devices and training.nodes to 1, or train dre-slcl."
        )
    with as_before(), ExitStack() as closing:
        environment = environment_of(place)
        watch = closing.enter_context(introduced(job, place, config, environment, reporter))
        if isinstance(watch, Hub):
            closing.enter_context(_watched(watch, reporter))
        else:
            closing.enter_context(_obedient(watch))
        device, control = join_groups(place, environment, config.training)
        yield World(place.rank, place.size, device, control, watch)


@contextmanager
def _watched(hub: Hub, reporter: Reporter) -> Iterator[None]:
    """Turn what happens when a process is lost into one sentence, in the first process."""
    hub.when_lost(_FREE_AFTER_S, lambda _sentence: free_collectives())
    hub.when_lost(_LEAVE_AFTER_S, lambda sentence: _give_up(hub, reporter, sentence))
    patience_s = 0.0
    try:
        with heard_while_waiting(lambda: _give_up(hub, reporter, hub.left_behind())):
            yield
        patience_s = _FAREWELL_S
    except Stopped:
        patience_s = _STOP_S  # one that opens slides for an hour has not heard of it
        raise
    except (DreSlclError, RuntimeError) as error:
        # What went wrong here comes back as the others' word, too.
        if _is_broken_line(error) and (lost := hub.lost(within_s=5.0)):
            raise JobError(lost) from error
        raise
    finally:
        is_well = hub.close(patience_s)
        leave_groups(is_well=is_well)


@contextmanager
def _obedient(line: Line) -> Iterator[None]:
    """Tell the first process how the block has ended; it decides how all end."""
    with _signals_left_to_the_first(), _told_to_the_first(line):
        yield
    line.let_go()


@contextmanager
def _told_to_the_first(line: Line) -> Iterator[None]:
    try:
        yield
    except Stopped:
        line.end()
        leave_groups(is_well=True)
        line.let_go()
        raise
    except Exception as error:
        if _is_broken_line(error):
            line.wait_for_verdict(10.0)  # whoever has brought this about is known there
        line.fail(_sentence(error))
        line.wait_for_verdict(_LINGER_S)  # it should speak before this process ends
        raise ToldElsewhere(str(error)) from error
    line.end()
    leave_groups(is_well=True)


@contextmanager
def _signals_left_to_the_first() -> Iterator[None]:
    """Ctrl-C and a cluster's signals reach all processes; one alone decides what they mean."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    is_main = threading.current_thread() is threading.main_thread()
    before = {n: signal.signal(n, signal.SIG_IGN) for n in numbers if is_main}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _give_up(hub: Hub, reporter: Reporter, sentence: str) -> None:
    """End this process, since what it waits for does not end."""
    hub.dismiss(is_well=False)
    sys.stderr.write(f"Error: {visible(sentence)}\n")
    sys.stderr.flush()
    reporter.last_word(sentence)
    os._exit(1)


def _is_broken_line(error: Exception) -> bool:
    """Whether an error may come of a process that is gone."""
    return isinstance(error, RuntimeError) or isinstance(error.__cause__, RuntimeError)


def _sentence(error: Exception) -> str:
    if isinstance(error, DreSlclError):
        return str(error)
    name = scratch_file(crash_trace(error), ".log")
    return (
        f"It stopped on an unexpected {crash_sentence(error)}. "
        f"The details are in its file '{name}'."
    )
