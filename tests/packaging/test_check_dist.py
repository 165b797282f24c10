"""What `make dist` refuses in a wheel, an sdist and a release."""

from __future__ import annotations

import importlib.util
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/check_dist.py"
RIGHT = "Metadata-Version: 2.4\nName: napari-dre-slcl\nVersion: 0.1.0\n\n"
Make = Callable[..., list[str]]


@pytest.fixture(scope="module")
def check_dist() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_dist", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make(check_dist: ModuleType, tmp_path: Path) -> Make:
    """Return a function that makes both files, without some names and with others."""

    def write(without: str = "", extra: str = "", metadata: str = RIGHT) -> list[str]:
        names = [f"{check_dist.PACKAGE}/{name}" for name in check_dist.NEEDED]
        names = [name for name in (*names, extra) if name and name != without]
        with ZipFile(tmp_path / "p-0.1.0-py3-none-any.whl", "w") as wheel:
            for name in names:
                wheel.writestr(name, "")
            wheel.writestr("p-0.1.0.dist-info/METADATA", metadata)
        with tarfile.open(tmp_path / "p-0.1.0.tar.gz", "w:gz") as sdist:
            for name in [*check_dist.IN_SDIST, *(f"src/{name}" for name in names)]:
                sdist.addfile(tarfile.TarInfo(f"p-0.1.0/{name}"), io.BytesIO())
        return [str(tmp_path)]

    return write


def test_what_is_whole_passes(check_dist: ModuleType, make: Make) -> None:
    assert check_dist.main(["--release", *make()]) == 0


def test_sample_data_that_is_missing_is_named_for_both(
    check_dist: ModuleType, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = f"{check_dist.PACKAGE}/gui/sample/model/model.safetensors"
    assert check_dist.main(make(without=lost)) == 1
    assert capsys.readouterr().out.count("gui/sample/model/model.safetensors") == 2


def test_tests_in_the_wheel_are_refused(
    check_dist: ModuleType, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_dist.main(make(extra="tests/conftest.py")) == 1
    assert "has tests, which is no part of the package" in capsys.readouterr().out


def test_a_wheel_that_has_grown_is_refused(
    check_dist: ModuleType, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_dist, "MOST_WHEEL", 100)
    assert check_dist.main(make()) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Version: 0.1.0", "Version: 0.1.0.dev7+gabc"),
        ("\n\n", "\nProject-URL: Homepage, https://example.org/x\n\n"),
    ],
)
def test_only_a_release_needs_a_version_and_real_addresses(
    check_dist: ModuleType, make: Make, before: str, after: str
) -> None:
    folder = make(metadata=RIGHT.replace(before, after))
    assert check_dist.main(folder) == 0
    assert check_dist.main(["--release", *folder]) == 1
