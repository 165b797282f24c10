"""Training of the tile encoder without labels, on all tiles of the training slides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing

import torch
from torch import Tensor

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.checkpoint import optimiser_state, optimiser_tensors
from napari_dre_slcl.engine.feature_source import FeatureLoader, tile_count
from napari_dre_slcl.engine.lost_slides import LostSlides, Request
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.run_state import RunState
from napari_dre_slcl.errors import ConfigError, SlideError
from napari_dre_slcl.model.network import DreSlclNet
from napari_dre_slcl.model.pretrain import TilePretrainer
from napari_dre_slcl.model.seeds import seeded
from napari_dre_slcl.tiles import TileLoader

__all__ = ["Pretraining"]

_STAGE = "Pretraining the tile encoder"


class Pretraining:
    """The loop before all else; it leaves a better encoder in the network.

    Parameters
    ----------
    config : DreSlclConfig
        Its ``pretrain`` section, device and seed.
    net : DreSlclNet
        Whose encoder is trained in place.
    loader : TileLoader or FeatureLoader
        Reads the training slides.
    lost : LostSlides
        Told of slides that cannot be read.
    state : RunState
        Where the run stands.
    """

    def __init__(
        self,
        config: DreSlclConfig,
        net: DreSlclNet,
        loader: TileLoader | FeatureLoader,
        lost: LostSlides,
        state: RunState,
    ) -> None:
        if not net.encoder.takes_pixels:
            raise ConfigError(
                "pretrain.epochs trains the tile encoder, and this run has feature files in its "
                "place. Set pretrain.epochs to 0."
            )
        self._config = config
        self._loader = loader
        self._lost = lost
        self._state = state
        counts = torch.tensor([tile_count(source) for source in loader.sources])
        self._owner = torch.repeat_interleave(torch.arange(len(counts)), counts)
        self._tile = torch.cat([torch.arange(int(count)) for count in counts])
        self._encoder = net.encoder
        self._pretrainer = TilePretrainer(
            net.encoder,
            config.pretrain,
            total_steps=config.pretrain.epochs * self._steps_per_epoch(),
            seed=config.training.seed,
            tint=config.training.tint,
        )

    def tensors(self) -> dict[str, Mapping[str, Tensor]]:
        """Return what a checkpoint keeps."""
        state = self._pretrainer.state_dict()
        return {
            "encoder": state["encoder"],
            "projector": state["projector"],
            "optimizer": optimiser_tensors(state["optimiser"]),
        }

    def load(self, read: Callable[[str], dict[str, Tensor]]) -> None:
        """Go on from what a checkpoint has kept."""
        state = self._pretrainer.state_dict()
        optimiser = optimiser_state(state["optimiser"], read("optimizer"))
        self._pretrainer.load_state_dict(
            {
                "encoder": read("encoder"),
                "projector": read("projector"),
                "optimiser": optimiser,
                "steps_taken": self._state.pretrain_step,
            }
        )

    def run(self, reporter: Reporter, save: Callable[[], None]) -> None:
        """Walk to the end of the pretraining from where the state stands.

        Parameters
        ----------
        reporter : Reporter
            Told the progress, and the mean loss of each epoch; may stop the run.
        save : callable
            Writes a checkpoint.
        """
        state, settings = self._state, self._config.pretrain
        with reporter.saving(save):
            while state.pretrain_epoch <= settings.epochs:
                self._walk_epoch(reporter, save)
                reporter.metric(state.pretrain_epoch, state.mean_losses())
                state.pretrain_epoch += 1
                state.pretrain_position = 0
                state.totals = {}
        self._encoder.eval()

    def _walk_epoch(self, reporter: Reporter, save: Callable[[], None]) -> None:
        state = self._state
        batches = self._draw(state.pretrain_epoch)
        while state.pretrain_position < len(batches):
            due = [self._requests(rows) for rows in batches[state.pretrain_position :]]
            with closing(self._loader.prefetch(iter(due))) as read:
                for requests in due:
                    self._tell(reporter, len(batches))
                    try:
                        tiles = next(read)
                    except SlideError:
                        if self._lost.find(requests, epoch=0):
                            break  # begin again without them
                        tiles = self._loader.load(requests)
                    self._take(torch.from_numpy(tiles))
                    if state.pretrain_step % self._config.training.checkpoint_steps == 0:
                        save()
        self._tell(reporter, len(batches))

    def _take(self, tiles: Tensor) -> None:
        value = self._pretrainer.step(tiles) if len(tiles) > 1 else None
        self._state.pretrain_step += 1
        self._state.pretrain_position += 1
        if value is not None:
            self._state.add_losses({"loss/pretrain": value})

    def _draw(self, epoch: int) -> list[Tensor]:
        """Return the batches of an epoch: every tile once, those of lost slides too."""
        generator = seeded(self._config.training.seed, "pretrain", epoch)
        order = torch.randperm(len(self._owner), generator=generator)
        return [rows.sort().values for rows in order.tensor_split(self._steps_per_epoch())]

    def _steps_per_epoch(self) -> int:
        return max(1, len(self._owner) // self._config.pretrain.tiles_per_batch)

    def _requests(self, rows: Tensor) -> list[Request]:
        owner, tiles = self._owner[rows], self._tile[rows]
        return [
            (slide, tiles[owner == slide].numpy())
            for slide in torch.unique(owner).tolist()
            if not self._lost.is_lost(slide)
        ]

    def _tell(self, reporter: Reporter, n_batches: int) -> None:
        state, epochs = self._state, self._config.pretrain.epochs
        done = (state.pretrain_epoch - 1) * n_batches + state.pretrain_position
        message = f"epoch {state.pretrain_epoch}/{epochs}"
        reporter.progress(_STAGE, done, epochs * n_batches, message)
