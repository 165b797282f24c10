"""Every public name says what it takes, gives and raises, and of what shape its arrays are."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import pytest

pytest.importorskip("numpydoc", reason="numpydoc, of the extra test, is not installed")

from numpydoc.docscrape import NumpyDocString

from napari_dre_slcl import errors
from tests.docs.public_names import Public, public_names, raised

NAMES = public_names()
_ARRAY = re.compile(r"NDArray|ArrayLike|ndarray|Tensor\b")
_SHAPE = re.compile(r"shape|\(\s*\w+\s*(?:,[^)]*)\)|scalar|As in|as in|See `|see `|the same")
OUR_ERRORS = set(errors.__all__)


def _doc(value: Any) -> NumpyDocString:
    return NumpyDocString(inspect.cleandoc(value.__doc__ or ""))


def _named(section: Any) -> dict[str, str]:
    """Return what is said of each name of a section; 'x, y : int' speaks of two."""
    return {
        name.strip().lstrip("*"): f"{entry.type} {' '.join(entry.desc)}"
        for entry in section
        for name in entry.name.split(",")
    }


def _parameters(value: Any) -> dict[str, Any]:
    found = inspect.signature(value).parameters
    hidden = ("self", "cls", "_", "__", "args", "kwargs")
    return {
        name: parameter.annotation
        for name, parameter in found.items()
        if name not in hidden and not name.startswith("_")
    }


def _is_model(value: Any) -> bool:
    return hasattr(value, "model_fields")


def _takes(value: Any) -> Iterator[str]:
    said = _named(_doc(value)["Parameters"])
    if inspect.isclass(value):
        said |= _named(_doc(value)["Attributes"])
    for name, annotation in _parameters(value).items():
        if name not in said:
            yield f"does not say what '{name}' is"
        elif _ARRAY.search(str(annotation)) and not _SHAPE.search(said[name]):
            yield f"does not say the shape of '{name}'"


def _fields(value: Any) -> Iterator[str]:
    said = _named(_doc(value)["Parameters"])
    for name, field in value.model_fields.items():
        if not field.description and name not in said:
            yield f"does not say what '{name}' is"


def _gives(value: Any) -> Iterator[str]:
    doc = _doc(value)
    annotation = str(inspect.signature(value).return_annotation)
    if annotation in ("None", "<class 'NoneType'>", "NoReturn"):
        return
    said = [*doc["Returns"], *doc["Yields"]]
    summary = " ".join(doc["Summary"])
    if not said and not re.match(r"(Return|Yield|Say whether|Whether|Open|Make|Build)", summary):
        yield "does not say what it returns"
    text = f"{summary} {' '.join(doc['Extended Summary'])} {_named(said)}"
    if re.match(r"['\"]?(?:np\.)?(?:NDArray|ndarray|torch\.Tensor|Tensor)", annotation) and (
        not _SHAPE.search(text)
    ):
        yield "does not say the shape of what it returns"


def _raises(value: Any) -> Iterator[str]:
    said = " ".join([entry.type or entry.name for entry in _doc(value)["Raises"]])
    for name in sorted(raised(value) & OUR_ERRORS):
        if name not in said:
            yield f"does not say that it raises {name}"


def gaps(public: Public) -> list[str]:
    """Return what the docstring of a name lacks."""
    value = public.value
    if isinstance(value, property | cached_property):
        function = value.fget if isinstance(value, property) else value.func
        return [] if (function.__doc__ or "").strip() else ["has no docstring"]
    if not (value.__doc__ or "").strip():
        return ["has no docstring"]
    if inspect.isclass(value):
        if _is_model(value):
            return list(_fields(value))
        if issubclass(value, Exception) or hasattr(value, "__members__"):
            return []
        return list(_takes(value))
    return [*_takes(value), *_gives(value), *_raises(value)]


@pytest.mark.parametrize("public", NAMES, ids=str)
def test_a_public_name_says_what_it_takes_gives_and_raises(public: Public) -> None:
    assert gaps(public) == []


def test_the_check_finds_what_is_missing() -> None:
    def bare(pixels: Any, scale: float) -> float:
        """Scale something."""
        raise errors.ConfigError("no")

    bare.__annotations__["pixels"] = "NDArray[np.uint8]"
    assert gaps(Public("bare", bare)) == [
        "does not say what 'pixels' is",
        "does not say what 'scale' is",
        "does not say what it returns",
    ]
