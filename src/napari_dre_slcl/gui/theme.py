"""The colours of napari's theme, for what we paint ourselves."""

from __future__ import annotations

from dataclasses import dataclass

from napari.utils.theme import get_theme
from qtpy.QtGui import QColor

__all__ = ["ThemeColors", "theme_colors"]


@dataclass(frozen=True, slots=True)
class ThemeColors:
    """Colours of a theme.

    Parameters
    ----------
    background, track, text, accent : QColor
        Behind everything, of an empty bar, of writing, of a filled bar.
    series : tuple of QColor
        Of curves, legible on ``background``.
    """

    background: QColor
    track: QColor
    text: QColor
    accent: QColor
    series: tuple[QColor, ...]


_ON_DARK = ("#6ea8ff", "#ffb454", "#7bd88f", "#ff7a93", "#c49bff", "#5fd7d7")
_ON_LIGHT = ("#1f5fbf", "#b35c00", "#1c7c3c", "#b3173f", "#6a3fb0", "#0c7a7a")


def theme_colors(theme: str) -> ThemeColors:
    """Return the colours of the napari theme with this name."""
    found = get_theme(theme)
    series = tuple(map(QColor, _ON_LIGHT if _is_light(found.background) else _ON_DARK))
    return ThemeColors(
        background=_color(found.background),
        track=_color(found.primary),
        text=_color(found.text),
        accent=series[0],
        series=series,
    )


def _color(color: object) -> QColor:
    return QColor(*color.as_rgb_tuple())  # type: ignore[attr-defined]


def _is_light(color: object) -> bool:
    return _color(color).lightnessF() > 0.5
