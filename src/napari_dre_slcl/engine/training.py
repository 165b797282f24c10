"""The training loop: pretrain, fill the bank, fit the codewords, walk the epochs, keep the best."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.best_weights import BestWeights
from napari_dre_slcl.engine.checkpoint import Checkpoints, TrainedParts
from napari_dre_slcl.engine.epoch import EpochSteps, draw_epoch
from napari_dre_slcl.engine.fill import EncodingPass
from napari_dre_slcl.engine.fresh_tiles import FreshTileBudget
from napari_dre_slcl.engine.gpu_memory import gpu_memory
from napari_dre_slcl.engine.loss_table import LossTable
from napari_dre_slcl.engine.lost_slides import LostSlides
from napari_dre_slcl.engine.matching_features import matching_features
from napari_dre_slcl.engine.phase_clock import PhaseClock
from napari_dre_slcl.engine.pinned import PinnedSlide
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.pretrain import Pretraining
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.run_state import RunState
from napari_dre_slcl.engine.schedule import RateSchedule
from napari_dre_slcl.engine.stalest import share_of_stalest
from napari_dre_slcl.engine.step import StepTaker, make_fabric
from napari_dre_slcl.engine.weight_average import WeightAverage
from napari_dre_slcl.engine.world import SOLO, World
from napari_dre_slcl.methods.dre_slcl import DreSlcl
from napari_dre_slcl.methods.sampling import steps_per_epoch
from napari_dre_slcl.methods.slide_batch import SlideBatch
from napari_dre_slcl.model.bank_tally import bank_summary
from napari_dre_slcl.model.memory_bank import MemoryBank
from napari_dre_slcl.model.network import DreSlclNet

__all__ = ["Training", "Validate"]

Validate = Callable[[DreSlclNet], dict[str, float]]


class Training:
    """One run of the loop, from wherever its state stands.

    Parameters
    ----------
    config : DreSlclConfig
        Settings.
    method : DreSlcl
        With the bank of the run folder, where there is one.
    prepared : PreparedCohort
        Slides, labels and reports.
    reporter : Reporter
        Told everything; may pause and stop the run.
    state : RunState
        Where to begin, or to go on; changed as the run goes on.
    run_dir : Path
        Where checkpoints and the table of losses go.
    world : World
        The processes of this training, each with slides of its own.
    saves_checkpoints : bool, default True
        Without them a run that is broken off begins anew.
    pinned : PinnedSlide, optional
        Shown after each epoch.
    """

    def __init__(
        self,
        config: DreSlclConfig,
        method: DreSlcl,
        prepared: PreparedCohort,
        reporter: Reporter,
        state: RunState,
        run_dir: Path,
        world: World = SOLO,
        *,
        saves_checkpoints: bool = True,
        pinned: PinnedSlide | None = None,
    ) -> None:
        self.state = state
        self._pinned = pinned
        self._saves_checkpoints = saves_checkpoints
        self._world = world
        self._config = config
        self._settings = config.training
        self._method = method
        self._prepared = prepared
        self._reporter = reporter
        self._run_dir = run_dir
        self._loader = prepared.loader(prepared.rows("train"), config)
        self.lost = LostSlides(self._loader, self.state, reporter)
        self._clock = PhaseClock(method.device)
        self._fabric = make_fabric(method.device)
        self._stepper = StepTaker(config, method, self._fabric, world)
        self._schedule = self._make_schedule()
        self._budget = self._make_budget()
        self._average = (
            WeightAverage(method.net, self._settings.ema) if self._settings.ema else None
        )
        self._best = BestWeights(run_dir, self._settings.patience, writes=world.is_main)
        self._checkpoints = Checkpoints(run_dir, world)
        self._table: LossTable | None = None

    def restore(self) -> None:
        """Load what the newest checkpoint of the run folder holds; the state is given already."""
        if self.state.phase != "pretrain":
            self._checkpoints.restore(self._parts(), self._bank_in_use())

    def run(self, validate: Validate | None = None) -> None:
        """Walk to the end of the training; the network then has its final weights.

        Parameters
        ----------
        validate : callable, optional
            Called after each epoch with the network, in every process; returns the same figures
            to report in all.

        Raises
        ------
        Stopped
            If the user wants it; what was done is in a checkpoint.
        SlideError, ModelError, JobError
            If it cannot go on.
        """
        state = self.state
        if state.phase == "pretrain":
            self._pretrain()
            self._world.copy_from_main(self._method.net)
            if self._average is not None:
                self._average.net.load_state_dict(self._method.net.state_dict())
            self._enter("fill")
        if state.phase == "fill":
            with self._reporter.saving(self._save):
                self._fill("start", "Filling the memory bank", epoch=0)
            self._fit_codewords()
            self._enter("train")
        if state.phase == "train":
            self._open_table()
            while state.epoch <= self._settings.epochs and not self._best.is_over(state):
                with self._reporter.saving(self._save):
                    self._take_steps()
                self._turn(validate)
                self._save()
            self._take_final_weights()
            self._enter("test")
        self._method.net.eval()

    def close(self) -> None:
        """Let go of slides' readers, the bank and the files."""
        self._loader.close()
        self._method.bank.close()
        if self._table is not None:
            self._table.close()

    # -- before the epochs -----------------------------------------------------------------------

    def _pretrain(self) -> None:
        if not self._config.pretrain.epochs:
            return
        pretraining = Pretraining(
            self._config, self._method.net, self._loader, self.lost, self.state
        )
        if self.state.serial:
            self._checkpoints.restore(pretraining)

        def save() -> None:
            if self._saves_checkpoints:
                self._checkpoints.save(self.state, pretraining)

        save()
        # One process alone: the others wait, and save what it saves meanwhile.
        reporter = self._reporter
        with reporter.saving(save):
            reporter.by_main(lambda: pretraining.run(reporter, reporter.telling_all(save)))
        self._learn_position()
        self._share_findings()

    def _fill(self, tag: str, stage: str, epoch: int) -> None:
        bank = self._method.bank
        bank.begin_generation(tag, self.state.step)
        walk = self._pass(stage, epoch)
        if epoch == 0:
            rows = self._prepared.rows("train")
            encoder = self._method.net.encoder
            known = matching_features(self._config, self._prepared, rows, encoder, self._reporter)
            self._reporter.each(lambda: walk.fill(known))
        else:
            self._reporter.each(walk.fill)
        bank.commit_generation()
        walk.tell_damage(self._share_findings())

    def _learn_position(self) -> None:
        """Stand where the first process stands, that went on alone."""
        if self._world.size > 1:
            told = RunState.model_validate(
                self._world.from_main(self.state.model_dump(mode="json"))
            )
            for name in RunState.model_fields:
                setattr(self.state, name, getattr(told, name))

    def _share_findings(self) -> dict[int, tuple[int, ...]]:
        """Know in every process which slides are lost, and return which tiles are damaged."""
        damaged = {str(slide): list(tiles) for slide, tiles in self._loader.damaged.items()}
        told = self._world.exchange({"damaged": damaged, "lost": self.lost.news()})
        self.lost.learn([one["lost"] for one in told], [])
        for one in told:
            for slide, tiles in one["damaged"].items():
                known = self.state.damaged.get(int(slide), ())
                self.state.damaged[int(slide)] = tuple(sorted({*known, *tiles}))
        return {int(slide): tuple(tiles) for one in told for slide, tiles in one["damaged"].items()}

    def _fit_codewords(self) -> None:
        method, present = self._method, self.lost.present()
        self._reporter.by_main(lambda: method.find_codewords(present))
        self._world.copy_from_main(method.net)
        method.index_bank()
        if self._average is not None:
            self._average.follow_buffers(method.net)

    def _pass(self, stage: str, epoch: int) -> EncodingPass:
        owned = self._method.bank.owned
        return EncodingPass(
            self._method, self._loader, self.lost, self._reporter, stage, epoch, owned
        )

    # -- an epoch --------------------------------------------------------------------------------

    def _take_steps(self) -> None:
        state, bank = self.state, self._method.bank
        draws = draw_epoch(
            self._config,
            self._method.truth,
            self.lost.present_at_start(state.epoch),
            bank.tile_count,
            len(bank),
            state.epoch,
            self._budget.fresh_tiles,
            bank.owned,
        )
        steps = EpochSteps(self._loader, self.lost, state, self._clock, self._world)
        with self._reporter.in_step():
            steps.walk(draws, partial(self._tell_progress, len(draws)), self._take)
            self._tell_progress(len(draws))

    def _tell_progress(self, n_draws: int) -> None:
        epoch, epochs = self.state.epoch, self._settings.epochs
        done = (epoch - 1) * n_draws + self.state.position
        self._reporter.progress("Training", done, epochs * n_draws, f"epoch {epoch}/{epochs}")

    def _take(self, batch: SlideBatch) -> None:
        state = self.state
        self._schedule.apply(self._stepper.optimiser, state.step)
        losses = self._budget.run(
            lambda cut: self._stepper.take(cut, state.step + 1, self._clock), batch
        )
        state.step += 1
        state.fresh_tiles = self._budget.fresh_tiles if self._budget.is_halved else 0
        state.add_losses(losses)
        if self._average is not None:
            self._average.update(self._method.net, state.step)
        if self._table is not None:
            self._table.add(state.step, state.epoch, losses)
        if state.step % self._settings.checkpoint_steps == 0:
            self._save()

    def _turn(self, validate: Validate | None) -> None:
        """Do what is due between this epoch and the next, then report the epoch."""
        state, settings = self.state, self._settings
        is_refit = state.epoch == self._config.codebook.refit_after_epoch
        every = settings.refill_every_epochs
        if is_refit or (every and state.epoch % every == 0):
            with self._once("refill", self._save) as is_due:
                if is_due:
                    tag = f"epoch-{state.epoch:04d}"
                    self._fill(tag, "Refreshing the memory bank", state.epoch)
                    (self._fit_codewords if is_refit else self._method.index_bank)()
        if settings.refresh_stalest:
            if "stalest" not in state.turn:  # halfway through there is no place to stop at
                self._save()
            with self._once("stalest", None) as is_due:
                if is_due:
                    self._refresh_stalest()
        with self._once("validate", self._save) as is_due:
            if is_due and validate is not None:
                net = self._average.net if self._average is not None else self._method.net
                state.found = validate(net)
                self._best.consider(state, net)
        self._reporter.metric(state.epoch, self._epoch_figures())
        self._reporter.by_main(self._show_pinned)
        state.begin_epoch()

    def _refresh_stalest(self) -> None:
        bank, state = self._method.bank, self.state
        wanted = round(self._settings.refresh_stalest * bank.n_tiles) + self.lost.count_tiles()
        n = share_of_stalest(bank.ages(state.step), wanted, self._world)
        walk = self._pass("Refreshing the stalest tiles", state.epoch)
        self._reporter.each(lambda: walk.refresh_stalest(n, state.step))
        self._share_findings()

    def _show_pinned(self) -> None:
        pinned, bank = self._pinned, self._method.bank
        if pinned is None or (pinned.position is not None and self.lost.is_lost(pinned.position)):
            return
        net = self._average.net if self._average is not None else self._method.net
        pinned.write(net, self.state.epoch, self._settings.epochs, bank, self.state.step)

    @contextmanager
    def _once(self, task: str, save: Callable[[], None] | None) -> Iterator[bool]:
        """Yield whether a task of this turn is still due, and note that it is done."""
        is_due = task not in self.state.turn
        with self._reporter.saving(save):
            yield is_due
        if is_due:
            self.state.turn.append(task)

    def _epoch_figures(self) -> dict[str, float]:
        state = self.state
        self._count_seconds()
        rates = {
            f"lr/{group['name']}": float(group["lr"])
            for group in self._stepper.optimiser.param_groups
        }
        with torch.no_grad():
            temperature = 1 / float(self._method.net.scale)
        return {
            **state.mean_losses(),
            **state.found,
            "temperature": temperature,
            **bank_summary(
                self._world.exchange(self._method.bank.tally(state.step, state.epoch_step + 1))
            ),
            **rates,
            **gpu_memory(self._method.device),
            **{f"seconds/{phase}": seconds for phase, seconds in state.seconds.items()},
        }

    # -- keeping ---------------------------------------------------------------------------------

    def _enter(self, phase: str) -> None:
        self.state.phase = phase  # type: ignore[assignment]
        self._save()

    def _save(self) -> None:
        self._count_seconds()
        if self._table is not None:
            self._table.flush()
        if self._saves_checkpoints:
            self._checkpoints.save(self.state, self._parts(), self._bank_in_use())

    def _parts(self) -> TrainedParts:
        stepper = self._stepper
        return TrainedParts(self._method.net, stepper.optimiser, stepper.scaler, self._average)

    def _bank_in_use(self) -> MemoryBank | None:
        return self._method.bank if self.state.phase == "train" else None

    def _count_seconds(self) -> None:
        for phase, seconds in self._clock.read().items():
            self.state.seconds[phase] = self.state.seconds.get(phase, 0.0) + seconds

    def _take_final_weights(self) -> None:
        if self._average is not None:
            self._method.net.load_state_dict(self._average.net.state_dict())
        self._best.restore(self.state, self._method.net)
        sentence = self._best.sentence(self.state)
        if sentence:
            self._reporter.log(sentence)

    def _open_table(self) -> None:
        if not self._world.is_main:
            return
        names = [f"loss/{name}" for name in self._method.truth.task_names]
        if self._method.net.projection is not None:
            names.insert(0, "loss/contrastive")
        if self._config.loss.view_weight:
            names.insert(0, "loss/view")
        self._table = LossTable(self._run_dir / "losses.csv", ["loss", *names], self.state.step)

    def _make_schedule(self) -> RateSchedule:
        truth, settings = self._method.truth, self._settings
        per_epoch = steps_per_epoch(
            truth.patients,
            truth.sites,
            settings.slides_per_batch,
            within_site=settings.within_site,
        )
        return RateSchedule.of(
            self._stepper.optimiser, settings.warmup_epochs * per_epoch, settings.epochs * per_epoch
        )

    def _make_budget(self) -> FreshTileBudget:
        halved, whole = self.state.fresh_tiles, self._settings.fresh_tiles
        return FreshTileBudget(halved or whole, self._reporter, is_halved=bool(halved))
