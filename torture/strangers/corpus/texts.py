"""Texts that would exhaust a parser, or are none: deep nesting, long numbers, wrong encodings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from torture.strangers.corpus.sample import Makers, copied

__all__ = ["MAKERS"]

_DEEP = 200_000


def _deep_json(opening: str = "[") -> str:
    return opening * _DEEP


def _in_place(name: str, text: str, what: str) -> Callable[[Path, Path], Path]:
    """Return what writes a text into one file of a folder, or into the file."""

    def make(folder: Path, honest: Path) -> Path:
        target = copied(folder, honest)
        files = list(target.rglob(name)) if target.is_dir() else [target]
        for file in files:
            file.write_text(text, encoding="utf-8", errors="surrogateescape")
        return target

    make.__name__ = what
    return make


_DEEP_LIST = "x = " + "[" * _DEEP
_DEEP_KEYS = ".".join("a" for _ in range(_DEEP)) + " = 1"
_LONG_NUMBER = json.dumps({"format": 2, "codewords": []})[:-1] + ', "x": ' + "9" * 10**6 + "}"
_NO_TEXT = "\udcff\udcfe\udcc0"

MAKERS: Makers = (
    ("model folder", _in_place("model.json", _deep_json(), "deep lists")),
    ("model folder", _in_place("model.json", _deep_json('{"a":'), "deep objects")),
    ("model folder", _in_place("model.json", _LONG_NUMBER, "a number of a million digits")),
    ("model folder", _in_place("model.json", _NO_TEXT, "bytes that are no text")),
    ("model folder", _in_place("model.json", "[]", "a list for an object")),
    ("codeword names", _in_place("model.json", _deep_json(), "deep lists")),
    ("search index", _in_place("index.json", _deep_json(), "deep lists")),
    ("search index", _in_place("index.json", '"text"', "a text for an object")),
    ("run folder", _in_place("job.json", _deep_json(), "deep lists")),
    ("run folder", _in_place("config.toml", _DEEP_LIST, "deep lists")),
    ("run folder", _in_place("config.toml", _DEEP_KEYS, "deep keys")),
    ("run folder", _in_place("config.toml", _NO_TEXT, "bytes that are no text")),
    ("run folder", _in_place("state.json", _deep_json(), "deep lists")),
    ("run folder", _in_place("state.json", '{"serial": Infinity}', "an infinite number")),
    ("run folder", _in_place("state.json", '{"serial": []}', "a list for a number")),
    ("job", _in_place("", _deep_json(), "deep lists")),
    ("job", _in_place("", "{}", "an empty object")),
    ("cohort csv", _in_place("", '"' * 99_999 + "\n" * 9, "quotation marks")),
    ("cohort csv", _in_place("", "slide_id,patient_id\n" + "=cmd|' /C calc'!A0,P\n" * 2, "twice")),
    ("split file", _in_place("", "slide_id,role\n" + '"a' * 200_000, "an open quotation mark")),
    ("split file", _in_place("", _NO_TEXT, "bytes that are no text")),
    ("language model", _in_place("modules.json", _deep_json(), "deep lists")),
    ("language model", _in_place("config.json", _NO_TEXT, "bytes that are no text")),
)
