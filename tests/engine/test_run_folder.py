"""Settings as a run folder keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_dre_slcl.config import DreSlclConfig, with_overrides
from napari_dre_slcl.config.section import Section
from napari_dre_slcl.engine.run_folder import with_absolute_paths


def test_every_setting_survives_the_file_that_a_resumed_run_reads() -> None:
    for section in DreSlclConfig.model_fields.values():
        if isinstance(section.default, Section):
            for name, field in type(section.default).model_fields.items():
                # TOML has no null: a setting left out of the file must mean its default.
                if with_none(field.annotation):
                    assert field.default is None, name
    assert with_overrides(DreSlclConfig(), {"training.encode_chunk": "none"}) == DreSlclConfig()


def test_a_resumed_run_finds_its_files_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "llm").mkdir()
    settings = {"encoder.weights": "w.pth", "text.model": "llm", "features.folder": "/far/off"}
    found = with_absolute_paths(with_overrides(DreSlclConfig(), settings))
    assert found.encoder.weights == tmp_path / "w.pth"
    assert found.text.model == str(tmp_path / "llm")
    assert found.features.folder == Path("/far/off")
    named = with_overrides(DreSlclConfig(), {"text.model": "meta-llama/Llama-2-7b-hf"})
    assert with_absolute_paths(named) == named


def with_none(annotation: object) -> bool:
    return type(None) in getattr(annotation, "__args__", ())
