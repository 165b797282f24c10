"""Settings: presets, overrides by name, and refusals that help."""

import pytest
from pydantic import ValidationError

from napari_dre_slcl.config import (
    DreSlclConfig,
    load_preset,
    preset_names,
    setting_names,
    with_overrides,
)
from napari_dre_slcl.errors import ConfigError


def test_the_default_preset_has_the_extensions_that_won_on_validation_slides() -> None:
    config = load_preset("default")
    assert (config.features.adapter, config.residual.weighting) == ("wide", "attention")
    assert config.residual.global_token
    assert not config.residual.global_map
    assert 0 < (config.residual.layer_scale or 0) < 0.1
    assert config.loss.contrastive_weight > 0
    assert config.training.bank_tiles is None


def test_the_paper_preset_has_the_values_of_the_method() -> None:
    config = load_preset("paper")
    assert (config.tiling.tile_px, config.tiling.mpp, config.tiling.min_tissue) == (256, 0.5, 0.5)
    assert (config.encoder.name, config.encoder.input_px) == ("vit_small_patch16_224", 256)
    assert (config.codebook.codewords, config.training.fresh_tiles) == (16, 32)
    assert (config.residual.layers, config.residual.heads, config.residual.ffn_ratio) == (2, 6, 4)
    assert (config.residual.weighting, config.residual.normalisation) == ("uniform", "l2")
    assert (config.loss.temperature, config.training.bank_momentum) == (0.07, 0)
    assert config.training.bank_tiles is None


def test_settings_that_need_others_say_so() -> None:
    with pytest.raises(ConfigError, match=r"'text' is not usable: text\.encoder=llama needs text"):
        with_overrides(load_preset("default"), {"text.encoder": "llama"})


def test_a_deviation_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"encoder\.std\.1' is not usable.*greater than 0"):
        with_overrides(load_preset("default"), {"encoder.std": "0.5,0,0.5"})


@pytest.mark.parametrize("name", preset_names())
def test_presets_know_their_name_and_survive_json(name: str) -> None:
    config = load_preset(name)
    assert config.preset == name
    assert DreSlclConfig.model_validate_json(config.model_dump_json()) == config


def test_every_setting_has_a_title_and_a_description() -> None:
    config = DreSlclConfig()
    for name in setting_names():
        section, key = name.split(".")
        field = type(getattr(config, section)).model_fields[key]
        assert field.title, name
        assert field.description, name


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("training.epochs", "3", 3),
        ("training.lr_rest", "1e-3", 1e-3),
        ("training.bank_tiles", "none", None),
        ("training.bank_tiles", "5", 5),
        ("training.augment", "false", False),
        ("cohort.tasks", "subtype, TP53", ("subtype", "TP53")),
        ("cohort.tasks", "", ()),
        ("encoder.mean", "0.1,0.2,0.3", (0.1, 0.2, 0.3)),
    ],
)
def test_overrides_take_text(name: str, text: str, value: object) -> None:
    section, key = name.split(".")
    config = with_overrides(load_preset("cpu-small"), {name: text})
    assert getattr(getattr(config, section), key) == value


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"training.epoch": 1}, r"no setting 'training\.epoch'\. Did you mean 'training\.epochs'"),
        ({"nonsense": 1}, r"no setting 'nonsense'\. See 'dre-slcl presets'"),
        ({"training.epochs": "0"}, r"'training\.epochs' is not usable.*\(given: '0'\)"),
        ({"training.device": "tpu"}, r"'training\.device' is not usable"),
        ({"encoder.mean": "0.5"}, r"'encoder\.mean.*' is not usable"),
        (
            {"loss.contrastive_weight": 0, "loss.task_weight": 0},
            "nothing is trained",
        ),
    ],
)
def test_unusable_overrides_are_refused(overrides: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        with_overrides(load_preset("default"), overrides)


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    known = "default, paper, cpu-small"
    with pytest.raises(ConfigError, match=rf"no preset 'huge'\. Choose one of {known}"):
        load_preset("huge")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_preset("default").training.epochs = 3
