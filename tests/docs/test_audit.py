"""What the audit says of a report, and that a network which is away fails nothing."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/audit.py"
WEAK = {"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"], "aliases": [], "description": ""}
REPORT = {
    "dependencies": [
        {"name": "jinja2", "version": "2.10", "vulns": [WEAK]},
        {"name": "sound", "version": "1.0", "vulns": []},
        {"name": "stranger", "skip_reason": "not found"},
    ],
    "fixes": [],
}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def auditor(folder: Path, does: str) -> None:
    program = folder / "bin/pip-audit"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
    program.chmod(0o755)


def prints(**package: object) -> str:
    return f"echo '{json.dumps({'dependencies': [package], 'fixes': []})}'"


def test_a_weakness_is_named_with_the_release_that_mends_it(audit: ModuleType) -> None:
    assert audit.weaknesses(REPORT) == ["jinja2 2.10: PYSEC-2019-217 (mended in 2.10.1)"]
    assert audit.unknown(REPORT) == ["stranger"]


def test_all_that_is_locked_is_asked_without_its_build(audit: ModuleType) -> None:
    pins = audit.locked_pins()
    assert len(pins) > 100
    assert "torch==2.13.0" in pins


SILENT = {
    "refused": "exit 1",
    "hanging": "exec sleep 60",
    "unknown": prints(name="jinja2", skip_reason="not found"),
    "a mirror that knows no weakness": prints(name="jinja2", version="2.10", vulns=[]),
}


@pytest.mark.parametrize("does", SILENT.values(), ids=SILENT)
def test_no_answer_to_believe_is_told_and_fails_nothing(
    audit: ModuleType,
    does: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    auditor(tmp_path, does)
    monkeypatch.setattr(audit, "ASKING_S", 1.0)
    assert audit.audit(tmp_path) == 0
    assert "could not be asked" in capsys.readouterr().out


def test_a_weakness_in_what_is_locked_fails(
    audit: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    auditor(tmp_path, prints(name="jinja2", version="2.10", vulns=[WEAK]))
    assert audit.audit(tmp_path) == 1
    assert "PYSEC-2019-217" in capsys.readouterr().out
