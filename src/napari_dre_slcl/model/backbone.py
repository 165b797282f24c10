"""timm backbones by name, from the Hugging Face hub, or as a bundle remembers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from napari_dre_slcl.config import EncoderConfig
from napari_dre_slcl.errors import ConfigError, ModelError
from napari_dre_slcl.model.torchvision_repair import ensure_torchvision

__all__ = ["HUB_PREFIX", "Architecture", "make_backbone"]

HUB_PREFIX = "hf-hub:"

# Arguments of timm.create_model that fetch or read.
_LOADING = (
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "checkpoint_path",
    "cache_dir",
    "scriptable",
)
_MOST_NUMBER = 100_000


@dataclass(frozen=True, slots=True)
class Architecture:
    """What timm builds a backbone from, without any network.

    Parameters
    ----------
    name : str
        A name of timm's own.
    args : mapping
        Further arguments; numbers, text and lists, as a hub's config.json has them.
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)


def make_backbone(
    config: EncoderConfig, architecture: Architecture | None = None
) -> tuple[nn.Module, Architecture]:
    """Build a backbone without classifier.

    Parameters
    ----------
    config : EncoderConfig
        Name and input size; ``hf-hub:NAME`` is fetched with its weights.
    architecture : Architecture, optional
        Of a bundle: nothing is fetched then, and the weights are random.

    Raises
    ------
    ConfigError
        If timm has no such model or it does not take the input size.
    ModelError
        If a model of the hub cannot be fetched.
    """
    ensure_torchvision()
    if architecture is not None:
        return _create(config, architecture), architecture
    if config.name.startswith(HUB_PREFIX):
        return _from_hub(config)
    import timm

    if not timm.is_model(config.name):
        near = timm.list_models(f"*{config.name.split('_')[0]}*")[:3]
        hint = f" Similar names: {', '.join(near)}." if near else ""
        raise ConfigError(f"timm has no model '{config.name}' (encoder.name).{hint}")
    architecture = Architecture(config.name)
    try:
        return _create(config, architecture), architecture
    except RuntimeError as error:  # such as a tag of weights that the model does not have
        raise ConfigError(
            f"timm cannot build '{config.name}' (encoder.name): {str(error).rstrip('.')}."
        ) from error


def _from_hub(config: EncoderConfig) -> tuple[nn.Module, Architecture]:
    from timm.models import load_model_config_from_hf

    name = config.name.removeprefix(HUB_PREFIX)
    try:
        settings, model_name, args = load_model_config_from_hf(name)
        architecture = Architecture(model_name, dict(args))
        backbone = _create(config, architecture, pretrained=True, pretrained_cfg=settings)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise ModelError(
            f"The tile encoder '{name}' cannot be fetched from the Hugging Face hub ({reason}). "
            "Check the name, that you are online and may use it; or download its weights and set "
            "encoder.name to the timm model and encoder.weights to the file."
        ) from error
    return backbone, architecture


def _create(config: EncoderConfig, architecture: Architecture, **options: Any) -> nn.Module:
    import timm

    _check_architecture(architecture)
    args = {**architecture.args, **options, "num_classes": 0}
    size = {"img_size": config.input_px}
    try:
        try:
            backbone: nn.Module = timm.create_model(architecture.name, **(args | size))
        except TypeError:  # convolutional backbones take any size and no such argument
            args.pop("img_size", None)
            backbone = timm.create_model(architecture.name, **args)
    except AssertionError as error:
        raise ConfigError(
            f"'{config.name}' does not take tiles of {config.input_px} px: {error}. "
            "Change encoder.input_px."
        ) from error
    _check_input(backbone, config)
    return backbone


def _check_architecture(architecture: Architecture) -> None:
    """Refuse what would fetch or load files: a bundle and a hub's config.json come from others."""
    wrong = [name for name in architecture.args if name in _LOADING or not _is_plain(name)]
    if not isinstance(architecture.name, str) or ":" in architecture.name or wrong:
        what = f"the argument '{wrong[0]}'" if wrong else f"the name '{architecture.name}'"
        raise ModelError(
            f"The tile encoder is described by {what}, which could load files from elsewhere. Get "
            "the model from somebody you know, or train one."
        )
    if not all(_is_small(value) for value in architecture.args.values()):
        raise ModelError("The tile encoder is described by numbers past all sense.")


def _is_plain(name: Any) -> bool:
    return isinstance(name, str) and name.isidentifier()


def _is_small(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= _MOST_NUMBER and all(_is_small(one) for one in value)
    if isinstance(value, Mapping):
        return len(value) <= _MOST_NUMBER and all(_is_small(one) for one in value.values())
    return not isinstance(value, int | float) or abs(value) <= _MOST_NUMBER


def _check_input(backbone: nn.Module, config: EncoderConfig) -> None:
    """Refuse an input that is no whole number of patches: the rest would not be seen."""
    patch = getattr(getattr(backbone, "patch_embed", None), "patch_size", None)
    edge = patch[0] if isinstance(patch, tuple | list) else patch
    if isinstance(edge, int) and config.input_px % edge:
        raise ConfigError(
            f"'{config.name}' sees patches of {edge} px, so tiles of {config.input_px} px do not "
            f"fit. Set encoder.input_px to a multiple of {edge}, such as "
            f"{max(edge, round(config.input_px / edge) * edge)}."
        )
