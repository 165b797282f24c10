"""The methods in one sentence each, and which settings each of them looks at."""

from __future__ import annotations

from napari_dre_slcl.config.all_settings import MethodName
from napari_dre_slcl.config.presets import setting_names

__all__ = ["METHOD_LINES", "main_settings", "method_settings"]

METHOD_LINES: dict[MethodName, str] = {
    "dre-slcl": "Learns from labels and reports, trains the tile encoder as well, and finds "
    "codewords: the full method.",
    "attention-mil": "Learns which tiles matter from labels alone, on a tile encoder that stays as "
    "it is. Fast; a strong baseline.",
    "mean-pool": "Averages the tiles of a slide. The simplest method, which every other has to "
    "beat.",
    "giga-ssl": "Learns from slides without labels first, then from few labels. For many slides "
    "and few labels.",
    "slpd": "Learns regions of slides without labels first, then from few labels. For many slides "
    "and few labels.",
}
"""What each method is for."""

_INPUT = ("cohort", "tiling", "features", "encoder")
_RUN = ("training.seed", "training.device", "training.tile_cache_mib", "training.workers")
_LOOKED_AT: dict[MethodName, tuple[str, ...]] = {
    "dre-slcl": (*_INPUT, "codebook", "residual", "text", "loss", "pretrain", "training"),
    "attention-mil": (
        *_INPUT,
        "loss.balance_classes",
        "pretrain",
        *_RUN,
        "training.patience",
        "mil",
    ),
    "mean-pool": (*_INPUT, "pretrain", *_RUN, "probe"),
    "giga-ssl": (*_INPUT, "pretrain", *_RUN, "training.tint", "probe", "giga_ssl"),
    "slpd": (*_INPUT, "pretrain", *_RUN, "probe", "slpd"),
}
_LENGTH: dict[MethodName, tuple[str, ...]] = {
    "dre-slcl": ("training.epochs", "training.fresh_tiles"),
    "attention-mil": ("mil.epochs",),
    "mean-pool": (),
    "giga-ssl": ("giga_ssl.epochs",),
    "slpd": ("slpd.epochs",),
}
_ALWAYS_MAIN = ("cohort.val_fraction", "training.seed", "training.device")


def method_settings(method: MethodName) -> tuple[str, ...]:
    """Return the dotted names of the settings that a method looks at, in their usual order.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    """
    wanted = _LOOKED_AT[method]
    return tuple(name for name in setting_names() if {name, name.split(".")[0]} & {*wanted})


def main_settings(method: MethodName) -> tuple[str, ...]:
    """Return the few settings of a method that everybody should see.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    """
    return (*_LENGTH[method], *_ALWAYS_MAIN)
