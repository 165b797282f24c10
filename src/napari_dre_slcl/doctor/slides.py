"""The libraries that read slides, tried in a process of their own on a slide made for it."""

from __future__ import annotations

from napari_dre_slcl.doctor.child import ask
from napari_dre_slcl.doctor.finding import Finding, ok, problem, warning

__all__ = ["check_slides"]


def check_slides() -> list[Finding]:
    """Write a small slide, read it with OpenSlide and with our own reader, and compare."""
    answer = ask("napari_dre_slcl.doctor.slide_probe")
    if answer.failure:
        return [
            problem(
                "Reading slides",
                f"a test slide cannot be read: {answer.failure}",
                'pip install --force-reinstall openslide-python "openslide-bin>=4.0" '
                "tifffile imagecodecs simplejpeg",
            )
        ]
    facts = answer.facts
    found = [ok("OpenSlide", f"{facts['openslide']} reads a test slide")]
    if facts["difference"] > facts["tolerance"]:
        found.append(
            warning(
                "Reading slides",
                f"OpenSlide and the package's own reader differ by {facts['difference']:.1f} grey "
                "levels on a test slide",
                "pip install --upgrade openslide-bin imagecodecs simplejpeg",
            )
        )
    return found
