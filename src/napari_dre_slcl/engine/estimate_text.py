"""What a training will take, in the user's words; for the window and the command line."""

from __future__ import annotations

from collections.abc import Mapping

from napari_dre_slcl.engine.amounts import bytes_text, duration_text

__all__ = ["estimate_text"]


def estimate_text(figures: Mapping[str, float]) -> str:
    """Return lines about time, memory and disk.

    Parameters
    ----------
    figures : mapping of float
        Metrics of the `Result` of an `EstimateJob`.
    """
    slides, tiles = figures.get("slides/train", 0), figures.get("tiles/train", 0)
    lines = [f"{slides:,.0f} training slides with {tiles:,.0f} tiles"]
    whole = _about(figures.get("seconds/total", 0.0))
    if "seconds/epoch" in figures:
        epoch = _about(figures["seconds/epoch"])
        lines.append(f"Time: {whole} in all; {figures.get('epochs', 0):.0f} epochs of {epoch}")
    else:
        lines.append(f"Time: {whole} to read the tiles, and what the method then takes")
    lines.append(_room("Memory", figures, "memory", "memory_free", "can be had"))
    if "bytes/gpu" in figures:
        lines.append(_room("GPU memory", figures, "gpu", "gpu_total", "in all"))
    lines.append(_room("Disk", figures, "disk", "disk_free", "free"))
    return "\n".join(lines)


def _about(seconds: float) -> str:
    text = duration_text(seconds)
    return text if text.startswith("under") else f"about {text}"


def _room(name: str, figures: Mapping[str, float], needed: str, room: str, words: str) -> str:
    line = f"{name}: about {bytes_text(figures.get(f'bytes/{needed}', 0.0))}"
    line = line.replace("about under", "under")
    has = figures.get(f"bytes/{room}")
    return line if has is None else f"{line}; {bytes_text(has)} {words}"
