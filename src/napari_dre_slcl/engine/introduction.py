"""How the processes of a training get to know each other, before torch joins them."""

from __future__ import annotations

import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from lightning_fabric.plugins.environments import ClusterEnvironment

from napari_dre_slcl.atomic_file import write_text
from napari_dre_slcl.config import DreSlclConfig, TrainingConfig
from napari_dre_slcl.engine.card import Card, told_settings, what_is_wrong
from napari_dre_slcl.engine.children import Children
from napari_dre_slcl.engine.device import check_devices, choose_device
from napari_dre_slcl.engine.meeting import Meeting
from napari_dre_slcl.engine.placed_environment import PlacedEnvironment
from napari_dre_slcl.engine.placement import Place, given_place
from napari_dre_slcl.engine.process_group import LOCAL, environment_of, share_threads
from napari_dre_slcl.engine.reporter import Reporter, Stopped
from napari_dre_slcl.engine.watch import Hub
from napari_dre_slcl.engine.watch_line import Line
from napari_dre_slcl.errors import ConfigError, JobError
from napari_dre_slcl.jobs.messages import ResumeJob, TrainJob

__all__ = ["ToldElsewhere", "excused", "introduced"]

_EXCUSE_S = 10.0
_LINGER_S = 3.0
_PATIENCE_S = 10.0


class ToldElsewhere(JobError):
    """What went wrong in this process has been told to the first one, which tells the user."""


def excused(problem: str) -> bool:
    """Tell the first process why this one does not come; False where it cannot be told."""
    place = given_place()
    if place is None:
        return False
    environment = environment_of(place)
    try:
        address, port = environment.main_address, environment.main_port
        meeting = Meeting(place, address, port, _EXCUSE_S)
        meeting.say(Card(platform.node(), problem=problem))
        _hear(meeting)
    except ToldElsewhere:
        return True
    except (JobError, RuntimeError):
        return False
    return False


@contextmanager
def introduced(
    job: TrainJob | ResumeJob,
    place: Place,
    config: DreSlclConfig,
    environment: ClusterEnvironment,
    reporter: Reporter,
) -> Iterator[Hub | Line]:
    """Let all processes meet, and end those started here at the end of the block.

    Parameters
    ----------
    job : TrainJob or ResumeJob
        What processes that are started here run.
    place : Place
        Of this process.
    config : DreSlclConfig
        Settings, which must be the same in all.
    environment : ClusterEnvironment
        Where all meet; told the port where it is chosen here.
    reporter : Reporter
        Asked whether to stop, in the first process.

    Yields
    ------
    Hub or Line
        A hub in the first process, and its line to it in each other.

    Raises
    ------
    JobError
        If not all come, or they cannot train together.
    Stopped
        If the user wants it before all have come.
    """
    settings = config.training
    address, port = environment.main_address, environment.main_port
    problem = _own_problem(place, settings)
    card = Card(platform.node(), problem=problem, settings=told_settings(config))
    if card.problem and place.spawns and place.rank == 0 and place.nodes == 1:
        raise ConfigError(card.problem)  # there is nobody yet to tell
    threads = share_threads(place, settings)
    meeting = Meeting(place, address, port) if place.rank == 0 else None
    if meeting is not None and isinstance(environment, PlacedEnvironment):
        environment.main_port = port = meeting.port
    with _children(job, place, (address, port), threads) as children:
        if meeting is not None:

            def check() -> str:
                reporter.stop_if_wanted()
                return "" if children is None else children.ended()

            hub = _preside(meeting, card, place, partial(_how_to_go_on, job.run_dir), check)
            hub.start({} if children is None else children.processes)
            _connect(hub, meeting, card, check)
            yield hub
        else:
            yield _attend(
                Meeting(place, address, port), card, place, partial(_how_to_go_on, job.run_dir)
            )


@contextmanager
def _children(
    job: TrainJob | ResumeJob, place: Place, where: tuple[str, int], threads: int
) -> Iterator[Children | None]:
    if not place.spawns:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="dre-slcl-"))
    patience_s = 0.0
    try:
        write_text(folder / "job.json", job.model_dump_json())
        children = Children(place, folder / "job.json", *where, threads)
        try:
            yield children
            patience_s = _PATIENCE_S
        except Stopped:
            patience_s = _LINGER_S  # one that has not come so far would not hear of it
            raise
        finally:
            children.end(patience_s)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _preside(
    meeting: Meeting,
    card: Card,
    place: Place,
    how_to_go_on: Callable[[], str],
    check: Callable[[], str],
) -> Hub:
    """Wait for the cards of all, and look at them."""
    meeting.say(card)
    try:
        if card.problem:
            raise ConfigError(card.problem)
        cards = meeting.cards(check)
        problem = what_is_wrong(cards)
    except (ConfigError, JobError) as error:
        meeting.dissolve(str(error))
        raise
    except Stopped:
        meeting.dissolve("The training was cancelled.")
        raise
    if problem:
        meeting.dissolve(problem)
        raise JobError(problem)
    names = {
        rank: f"Process {rank + 1} of {place.size} (on {card.host})"
        for rank, card in enumerate(cards)
        if rank
    }
    return Hub(names, how_to_go_on, is_local=place.nodes == 1)


def _connect(hub: Hub, meeting: Meeting, card: Card, check: Callable[[], str]) -> None:
    meeting.judge({"problem": "", "port": hub.port, "token": hub.token, "host": card.host})
    try:
        hub.wait_for_all(check)
    except (JobError, Stopped):
        hub.close(0.0)
        raise


def _attend(meeting: Meeting, card: Card, place: Place, how_to_go_on: Callable[[], str]) -> Line:
    """Show a card, and get a line to the first process."""
    meeting.say(card)
    verdict = _hear(meeting)

    def last_words() -> str:
        if place.rank > 1:
            return ""  # one speaks for all
        return (
            f"Process 1 of {place.size} (on {verdict['host']}) has ended, so training stopped. "
            f"{how_to_go_on()}"
        )

    address = (LOCAL if place.nodes == 1 else meeting.address, int(verdict["port"]))
    try:
        linger_s = 0.0 if place.by == "parent" else _LINGER_S
        return Line(address, verdict["token"], place.rank, last_words, linger_s)
    except OSError as error:
        raise JobError(
            f"Process {place.rank + 1} of {place.size} cannot reach the first one at "
            f"{address[0]}:{address[1]}: {error}. Let the machines of a training reach each "
            "other at all ports."
        ) from error


def _hear(meeting: Meeting) -> dict[str, Any]:
    """Wait for the verdict."""
    verdict = meeting.verdict()
    if verdict["problem"]:
        time.sleep(_LINGER_S)  # torchrun ends all with the first that ends: let it be that one
        raise ToldElsewhere(verdict["problem"])
    return verdict


def _own_problem(place: Place, settings: TrainingConfig) -> str:
    """Return why this process cannot take part; empty where it can."""
    if place.by in ("torchrun", "slurm") and choose_device(settings.device).type == "cpu":
        return ""  # whoever starts them shares the processors out
    try:
        check_devices(settings, is_one_shown=place.by == "slurm")
    except ConfigError as error:
        return str(error)
    return ""


def _how_to_go_on(run_dir: Path) -> str:
    if not (run_dir / "config.toml").is_file():
        return "It had not begun: start it again."
    return f"Go on from the last checkpoint with 'dre-slcl resume {run_dir}'."
