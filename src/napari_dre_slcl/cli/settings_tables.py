"""Every setting with its meaning, its range and its value in each preset."""

from __future__ import annotations

from typing import Any

from pydantic.fields import FieldInfo
from rich.table import Column, Table

from napari_dre_slcl.cli.console import output, say
from napari_dre_slcl.config import DreSlclConfig, load_preset, preset_names, setting_names

__all__ = ["print_presets", "settings_markdown"]

_WIDTH_WITH_MEANING = 110
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def print_presets() -> None:
    """Print every setting with its value in each preset; differences are marked."""
    names = preset_names()
    configs = [load_preset(name) for name in names]
    columns = [Column(name, no_wrap=True) for name in ("Setting", *names)]
    has_room = output().width >= _WIDTH_WITH_MEANING
    table = Table(*columns, *(["What it is"] if has_room else []))
    for setting in setting_names():
        values = [_value(config, setting) for config in configs]
        mark = " *" if len(set(values)) > 1 else ""
        meaning = [_meaning(_field(setting))] if has_room else []
        table.add_row(setting + mark, *values, *meaning)
    output().print(table)
    say("* differs between the presets. Change one with --set KEY=VALUE.")


def settings_markdown() -> str:
    """Return a Markdown table of every setting."""
    names = preset_names()
    configs = [load_preset(name) for name in names]
    lines = [_row("setting", *(f"`{name}`" for name in names), "what it is", "range")]
    lines.append(_row(*["---"] * (len(names) + 3)))
    for setting in setting_names():
        values = [_value(config, setting) for config in configs]
        if len(set(values)) > 1:
            values[1:] = [f"**{value}**" for value in values[1:]]
        field = _field(setting)
        lines.append(_row(f"`{setting}`", *values, _meaning(field), _range(field)))
    return "\n".join(lines)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _field(setting: str) -> FieldInfo:
    section, key = setting.split(".")
    fields: dict[str, FieldInfo] = type(DreSlclConfig.model_fields[section].default).model_fields
    return fields[key]


def _value(config: DreSlclConfig, setting: str) -> str:
    """Return a setting's value as it would be typed after ``--set``."""
    section, key = setting.split(".")
    value: Any = getattr(getattr(config, section), key)
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _meaning(field: FieldInfo) -> str:
    return f"{field.title}: {field.description}"


def _range(field: FieldInfo) -> str:
    choices = getattr(field.annotation, "__args__", ())
    if choices and all(isinstance(choice, str) for choice in choices):
        return ", ".join(choices)
    bounds = [
        f"{word} {getattr(mark, name):,}"
        for mark in field.metadata
        for name, word in _BOUNDS.items()
        if hasattr(mark, name)
    ]
    return ", ".join(bounds)
