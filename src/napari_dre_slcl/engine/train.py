"""The training job: cohort in, run folder with a model and its held-out metrics out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from napari_dre_slcl._version import __version__
from napari_dre_slcl.allocator import keep_freed_memory
from napari_dre_slcl.cohort.leakage import check_leakage
from napari_dre_slcl.cohort.left_out import read_left_out
from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.engine.bag_training import BagRun
from napari_dre_slcl.engine.checkpoint import read_state
from napari_dre_slcl.engine.device import check_devices
from napari_dre_slcl.engine.disk_full import explain_full_disk
from napari_dre_slcl.engine.dre_slcl_run import DreSlclRun
from napari_dre_slcl.engine.ended_run import end_again, end_well, has_ended
from napari_dre_slcl.engine.held_out import HeldOut
from napari_dre_slcl.engine.launch import is_first, joined_world
from napari_dre_slcl.engine.left_out_slides import sides_text
from napari_dre_slcl.engine.method_run import MethodRun
from napari_dre_slcl.engine.open_files import allow_many_open_files
from napari_dre_slcl.engine.pinned import PinnedSlide
from napari_dre_slcl.engine.placement import placed
from napari_dre_slcl.engine.prepare import PreparedCohort, prepare_cohort
from napari_dre_slcl.engine.reporter import OnEvent, Reporter, ShouldPause, ShouldStop, Stopped
from napari_dre_slcl.engine.run_folder import (
    check_run_dir,
    create_run_dir,
    read_run_dir,
    remove_unfinished,
    run_lock,
    with_absolute_paths,
)
from napari_dre_slcl.engine.run_identity import check_slides, identify
from napari_dre_slcl.engine.run_state import RunState
from napari_dre_slcl.engine.team_reporter import owned_folder, team_reporter
from napari_dre_slcl.engine.where_it_stands import say_where, state_to_go_on
from napari_dre_slcl.engine.world import SOLO, World
from napari_dre_slcl.errors import CohortError, ConfigError, JobError, SlideError
from napari_dre_slcl.jobs.messages import Cancelled, Result, ResumeJob, TrainJob

__all__ = ["make_run", "ready_run", "run_resume", "run_train", "train_prepared"]


def run_train(
    job: TrainJob,
    on_event: OnEvent,
    should_stop: ShouldStop,
    should_pause: ShouldPause = lambda: False,
    on_begun: Callable[[], None] = lambda: None,
) -> Result | Cancelled:
    """Train on a cohort, save the model, and evaluate it on held-out patients.

    Parameters
    ----------
    job : TrainJob
        Cohort table, run folder, preset and changed settings.
    on_event : callable
        Gets Progress, Metric and Log events.
    should_stop : callable
        True once the user wants the job to end; a checkpoint is written first.
    should_pause : callable, optional
        True while the user wants the job to hold still; a checkpoint is written first.
    on_begun : callable, optional
        Called once the run folder is there and this job's own.

    Returns
    -------
    Result or Cancelled
        ``Result.paths`` names the run, model, metrics and predictions; ``Result.metrics`` has
        ``test/auc/<task>``; ``Result.skipped`` says which slides could no longer be read.

    Raises
    ------
    DreSlclError
        If anything about the cohort or the settings is wrong; no run folder is made then. Or if
        the run cannot go on; `run_resume` goes on with it once that is mended.
    """
    config = with_absolute_paths(with_overrides(load_preset(job.preset), job.overrides))
    config = placed(job, config)
    if is_first():
        check_run_dir(job.run_dir)
    _check_fill_from(config)
    plain = Reporter(on_event, should_stop, should_pause)
    try:
        with joined_world(job, config, plain) as world:
            reporter = team_reporter(on_event, should_stop, should_pause, world)
            if world.size > 1 and not config.training.shards:
                config = with_overrides(config, {"training.shards": world.size})
            with ready_run(job, config, reporter, world=world) as (prepared, run):
                pinned = _pinned(job, run, prepared, reporter)
                run.config = _chosen_by_main(run, job.run_dir, reporter)
                with owned_folder(job.run_dir, world, reporter), explain_full_disk(job.run_dir):
                    state = _begun(job, run, prepared, world, on_begun)
                    return _train_and_test(
                        job.run_dir, run, prepared, reporter, state, pinned, world
                    )
    except Stopped:
        return _cancelled(job.run_dir)


def _chosen_by_main(run: MethodRun, run_dir: Path, reporter: Reporter) -> DreSlclConfig:
    """Try the run out in the first process, and return the settings that it chose."""

    def try_out() -> dict[str, Any]:
        run.try_out(run_dir)
        return run.config.model_dump(mode="json")

    return DreSlclConfig.model_validate(reporter.by_main(try_out))


def _begun(
    job: TrainJob,
    run: MethodRun,
    prepared: PreparedCohort,
    world: World,
    on_begun: Callable[[], None],
) -> RunState:
    """Make the run folder, in the first process alone."""

    def begin() -> dict[str, Any]:
        check_run_dir(job.run_dir)  # another job may have made it meanwhile
        create_run_dir(job, run.config, _reasons(prepared))
        on_begun()
        identity = identify(job.run_dir, prepared)
        return RunState(identity=identity, version=__version__, serial=0).model_dump(mode="json")

    return RunState.model_validate(world.main_does(begin))


def _pinned(
    job: TrainJob, run: MethodRun, prepared: PreparedCohort, reporter: Reporter
) -> PinnedSlide | None:
    if job.pinned is None:
        return None
    return PinnedSlide(job.pinned, prepared, run.config, job.run_dir, reporter)


def _check_fill_from(config: DreSlclConfig) -> None:
    """Refuse a folder that is not there; a run that is resumed may do without it."""
    folder = config.features.fill_from
    if folder is not None and not folder.is_dir():
        raise ConfigError(
            f"The folder '{folder}' (features.fill_from) does not exist. Correct its name, or "
            "empty the setting to encode every tile."
        )


def run_resume(
    job: ResumeJob,
    on_event: OnEvent,
    should_stop: ShouldStop,
    should_pause: ShouldPause = lambda: False,
    on_begun: Callable[[], None] = lambda: None,
) -> Result | Cancelled:
    """Go on with a training from its last checkpoint, on the path of one never broken off.

    A method that keeps no checkpoint begins anew. Settings are those in the run folder, whatever
    the presets of this version are.

    Parameters
    ----------
    job : ResumeJob
        The run folder.
    on_event, should_stop, should_pause, on_begun : callable
        As of `run_train`.

    Returns
    -------
    Result or Cancelled
        As of `run_train`.

    Raises
    ------
    DreSlclError
        If the run has ended well, is under way, or was changed; it is left as it was then.
    """
    if not job.run_dir.is_dir():
        raise JobError(f"There is no run folder '{job.run_dir}'. Check the path.")
    started, config = read_run_dir(job.run_dir)
    changes = {"training.devices": job.devices, "training.nodes": job.nodes}
    config = with_overrides(config, {name: n for name, n in changes.items() if n is not None})
    config = placed(job, config)
    plain = Reporter(on_event, should_stop, should_pause)
    try:
        with joined_world(job, config, plain) as world:
            reporter = team_reporter(on_event, should_stop, should_pause, world)
            with owned_folder(job.run_dir, world, reporter), explain_full_disk(job.run_dir):
                state = world.all_do(lambda: state_to_go_on(job.run_dir, started))
                before = world.main_does(lambda: read_left_out(job.run_dir)) or {}
                world.main_does(lambda: remove_unfinished(job.run_dir))
                if world.is_main:
                    on_begun()
                if state is None and has_ended(job.run_dir):
                    return end_again(job.run_dir, before, reporter)
                say_where(state, job.run_dir, reporter)
                with ready_run(started, config, reporter, begun_with=before, world=world) as ready:
                    prepared, run = ready
                    if state is None:
                        identity = identify(job.run_dir, prepared)
                        state = RunState(identity=identity, version=__version__)
                    elif state.identity is not None:
                        check_slides(state.identity, prepared)
                    pinned = _pinned(started, run, prepared, reporter)
                    return _train_and_test(
                        job.run_dir, run, prepared, reporter, state, pinned, world
                    )
    except Stopped:
        return _cancelled(job.run_dir)


@contextmanager
def ready_run(
    job: TrainJob,
    config: DreSlclConfig,
    reporter: Reporter,
    *,
    begun_with: Mapping[str, str] | None = None,
    world: World = SOLO,
) -> Iterator[tuple[PreparedCohort, MethodRun]]:
    """Open the slides of a cohort and build the network for the length of a block.

    Parameters
    ----------
    job : TrainJob
        Cohort table and run folder; neither its preset nor its settings are looked at.
    config : DreSlclConfig
        Its settings.
    reporter : Reporter
        Told the progress.
    begun_with : mapping of str, optional
        What was left out at the start of the run that is gone on with; what else is wrong with the
        cohort is blamed on a change since.
    world : World
        The processes of the training; what is wrong in one ends all.

    Raises
    ------
    DreSlclError
        If cohort or settings are wrong.
    """
    if world.size == 1:  # several have been looked at where they met
        check_devices(config.training)
    allow_many_open_files()
    try:
        slides = prepare_cohort(job.cohort, config, reporter, world, begun_with)
    except (CohortError, SlideError) as error:
        if begun_with is None:
            raise
        raise JobError(
            f"The run '{job.run_dir}' cannot go on. {error} A run goes on with the files that it "
            "was started with: bring them back, or start a new one."
        ) from error
    with closing(slides) as prepared:
        yield prepared, world.all_do(lambda: make_run(config, prepared, reporter, world=world))


def train_prepared(
    job: TrainJob,
    config: DreSlclConfig,
    prepared: PreparedCohort,
    run_dir: Path,
    reporter: Reporter,
) -> Result:
    """Train on a cohort that is open already, as one of many trainings on it.

    There is no pre-flight, nothing is kept to go on from, and no slide's result is written. The
    figure that shows that a run has ended well, ``metrics.json``, is written last.

    Parameters
    ----------
    job : TrainJob
        What the run folder notes down.
    config : DreSlclConfig
        Its settings.
    prepared : PreparedCohort
        As `with_split` returns it.
    run_dir : Path
        Run folder to make.
    reporter : Reporter
        Told everything; raises `Stopped` where the user wants it.

    Returns
    -------
    Result
        As of `run_train`.

    Raises
    ------
    DreSlclError
        If the settings are wrong, or the run cannot go on.
    """
    check_run_dir(run_dir)
    run = make_run(config, prepared, reporter, is_cell=True)
    with run_lock(run_dir, reporter.log), explain_full_disk(run_dir):
        own = job.model_copy(update={"run_dir": run_dir})
        create_run_dir(own, run.config, _reasons(prepared))
        state = RunState(version=__version__)
        return _train_and_test(run_dir, run, prepared, reporter, state, is_cell=True)


def make_run(
    config: DreSlclConfig,
    prepared: PreparedCohort,
    reporter: Reporter,
    *,
    is_cell: bool = False,
    world: World = SOLO,
) -> MethodRun:
    """Build the method that is asked for, and its network.

    Parameters
    ----------
    config, prepared, reporter : DreSlclConfig, PreparedCohort, Reporter
        Its settings, what it is to learn from, and who is told.
    is_cell : bool
        Nothing is kept to go on from.
    world : World

    Raises
    ------
    DreSlclError
        If the settings do not fit the cohort or this machine.
    """
    if config.training.patience and not prepared.rows("val"):
        raise ConfigError(
            "training.patience stops on validation, and there are no validation slides. Set "
            "cohort.val_fraction, write val into the column 'split', or set it to 0."
        )
    run: MethodRun
    if config.method == "dre-slcl":
        run = DreSlclRun(config, prepared, reporter, is_kept=not is_cell, world=world)
    else:
        run = BagRun(config, prepared, reporter)
    for sentence in run.net.encoder.get_ready():
        reporter.log(sentence)
    if run.net.device.type == "cpu":
        keep_freed_memory()
    return run


def _train_and_test(
    run_dir: Path,
    run: MethodRun,
    prepared: PreparedCohort,
    reporter: Reporter,
    state: RunState,
    pinned: PinnedSlide | None = None,
    world: World = SOLO,
    *,
    is_cell: bool = False,
) -> Result:
    held_out = HeldOut(
        run.config, prepared, reporter, state.skipped, world, save_results=not is_cell
    )
    # A cell looks at validation slides at its end, unless they decide when that is.
    validates = prepared.rows("val") and (run.config.training.patience or not is_cell)
    if validates:
        reporter.by_main(held_out.get_ready)
    lost = run.train(run_dir, state, held_out.validate if validates else None, pinned)
    fitted_on = run.fitted_on()
    # Patients on two sides were looked for when the split was made.
    check_leakage(
        prepared.cohort,
        prepared.split,
        fitted=fitted_on,
        allow_shared_patients=True,
        uses_reports=False,
    )
    metrics = held_out.finish(run.net, run_dir, fitted_on)
    skipped = lost | state.skipped
    if prepared.left_out:
        sides = sides_text(prepared.left_out)
        reporter.log(f"{_slides(len(prepared.left_out))} took no part ({sides}): see left-out.csv.")
    if skipped:
        reporter.log(f"{_slides(len(skipped))} could no longer be read: {', '.join(skipped)}.")
    return end_well(run_dir, metrics, _reasons(prepared) | skipped, reporter)


def _cancelled(run_dir: Path) -> Cancelled:
    if not run_dir.exists() or read_state(run_dir) is None:
        return Cancelled()
    return Cancelled(message=f"Cancelled. Go on with 'dre-slcl resume {run_dir}'.")


def _reasons(prepared: PreparedCohort) -> dict[str, str]:
    return {slide_id: one.reason for slide_id, one in prepared.left_out.items()}


def _slides(count: int) -> str:
    return f"{count} slide{'s' if count > 1 else ''}"
