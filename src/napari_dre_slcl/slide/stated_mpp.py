"""What a slide's header states of its pixel size, place by place, and what is wrong with it.

Reads text only; which statement is believed is decided in `pixel_size`.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["MPP_RANGE", "TOLERANCE", "Defect", "Stated", "stated_objective", "stated_sizes"]

MPP_RANGE = (0.1, 10.0)
"""Plausible µm per level-0 pixel, whoever states it."""
TOLERANCE = 1.02
"""Sizes whose ratio is greater contradict each other."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_HARMLESS = re.compile(
    r"[\s\d.,+-]{0,20}(?:e[+-]?\d{1,4})?\s*"
    r"(?:x|nan|[+-]?inf(?:inity)?|auto|none|null|unknown|n/?a|µm|um|mm|cm|m|nm|inch|in|pt|pixels?|"
    r"micro(?:n|meter|metre)s?|(?:centi|milli|nano)?met(?:er|re)s?|\?|%|)",
    re.IGNORECASE,
)
_SHOWN_CHARACTERS = 40

# Vendors for which OpenSlide copies these texts; where it cannot read one it says nothing.
_VENDOR_KEYS = {
    "aperio": ("aperio.MPP", "aperio.MPP"),
    "mirax": tuple(f"mirax.LAYER_0_LEVEL_0_SECTION.MICROMETER_PER_PIXEL_{axis}" for axis in "YX"),
    "ventana": ("ventana.ScanRes", "ventana.ScanRes"),
}
_OPENSLIDE_KEYS = ("openslide.mpp-y", "openslide.mpp-x")
_OBJECTIVE_KEYS = (
    "openslide.objective-power",
    "aperio.AppMag",
    "hamamatsu.SourceLens",
    "ventana.Magnification",
    "mirax.GENERAL.OBJECTIVE_MAGNIFICATION",
)
# Their mpp is the TIFF resolution under another name.
_MPP_IS_RESOLUTION = frozenset({"hamamatsu", "trestle"})
# Of these OpenSlide's mpp is the TIFF resolution, or there is none.
_PLAIN_TIFF = frozenset({"generic-tiff", "tiff", "ome-tiff", "perkinelmer-qpi"})

_UM_PER_RESOLUTION_UNIT = {"inch": 25_400.0, "centimeter": 10_000.0}
_UM_PER_LENGTH = {
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "micrometer", "micrometre"), 1.0),
    "pm": 1e-6,
    "Å": 1e-4,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "inch": 25_400.0,
    "in": 25_400.0,
    "m": 1e6,
}

_OME = re.compile(r"<(?:\w+:)?OME\b")
_OME_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^<>]*>")
# Those that do not end reach to the end of the text, as a parser sees it, and cost no second look.
_XML_NO_MARKUP = re.compile(r"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)", re.DOTALL)
_OME_SIZE = re.compile(r"""PhysicalSize([XY])(Unit)?\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_APERIO_MPP = re.compile(r"(?:^|\|)\s*MPP\s*=([^|\r\n]*)", re.MULTILINE)
_IMAGEJ_UNIT = re.compile(r"^unit=(.*)$", re.MULTILINE)

_IS = {
    "mpp-missing": "empty",
    "mpp-zero": "zero and so no size",
    "mpp-negative": "negative and so no size",
    "mpp-not-a-number": "not a number",
    "mpp-infinite": "not a finite number",
}


@dataclass(frozen=True, slots=True)
class Defect:
    """Something in a header that is wrong or odd.

    Parameters
    ----------
    code : str
        As in `Finding`.
    what : str
        The start of a sentence, without the slide and without what follows from it.
    """

    code: str
    what: str


@dataclass(frozen=True, slots=True)
class Stated:
    """The pixel size by one place of a header.

    Parameters
    ----------
    source : str
        "vendor property" or "TIFF resolution".
    where : str
        The place by name.
    mpp : float or None
        µm per pixel; None where no use can be made of what is written there.
    defects : tuple of Defect
        Why not; else what is odd about a value that can be used.
    is_contradictory : bool
        The place says two different things, so that its file is not trusted.
    """

    source: str
    where: str
    mpp: float | None
    defects: tuple[Defect, ...] = ()
    is_contradictory: bool = False


@dataclass(frozen=True, slots=True)
class _Axis:
    """The text for one axis: a length of so many µm per pixel, or pixels per such a length."""

    name: str
    text: str | None
    unit_um: float = 1.0
    unit: str = ""
    is_pixels_per_unit: bool = False

    def um(self, number: float) -> float:
        """Return µm per pixel."""
        return self.unit_um / number if self.is_pixels_per_unit else self.unit_um * number


def stated_sizes(properties: Mapping[str, str]) -> tuple[Stated, ...]:
    """Return what a header states of the pixel size, the place to believe first in front.

    Parameters
    ----------
    properties : mapping
        OpenSlide's names (`openslide.mpp-x`, `aperio.MPP`, `tiff.XResolution`, ...).
    """
    vendor, resolution = _vendor(properties), _tiff_resolution(properties)
    if vendor is not None and (
        vendor.is_contradictory or properties.get("openslide.vendor") in _MPP_IS_RESOLUTION
    ):
        return (vendor,)
    return tuple(statement for statement in (vendor, resolution) if statement is not None)


def stated_objective(properties: Mapping[str, str]) -> tuple[float | None, Defect | None]:
    """Return the objective's magnification, or what is wrong with it.

    Returns
    -------
    power : float or None
        1 to 100.
    defect : Defect or None
    """
    key = next((key for key in _OBJECTIVE_KEYS if properties.get(key, "").strip()), None)
    if key is None:
        return None, None
    number, code = _read_number(properties[key])
    if code is None and 10 / MPP_RANGE[1] <= number <= 10 / MPP_RANGE[0]:
        return number, None
    what = f"{key} is '{_shown(properties[key])}', which is no magnification of an objective"
    return None, Defect("objective-unusable", what)


def _vendor(properties: Mapping[str, str]) -> Stated | None:
    description = properties.get("tiff.ImageDescription", "")
    if _OME.search(description):
        return _ome(_XML_NO_MARKUP.sub("", description))
    vendor = properties.get("openslide.vendor", "")
    if vendor in _PLAIN_TIFF:
        return None
    keys = _VENDOR_KEYS.get(vendor, _OPENSLIDE_KEYS)
    if not any(key in properties for key in keys):
        keys = _OPENSLIDE_KEYS
    if vendor == "aperio" and (twice := _stated_twice(description)) is not None:
        return Stated("vendor property", "aperio.MPP", None, (twice,), is_contradictory=True)
    y, x = (_Axis(key, properties.get(key)) for key in keys)
    return _judged("vendor property", y, x)


def _stated_twice(description: str) -> Defect | None:
    """Return what is wrong where an Aperio description states several sizes; the last wins."""
    said = {_read_number(text): text.strip() for text in _APERIO_MPP.findall(description)}
    if len(said) < 2:
        return None
    texts = " and ".join(f"'{_shown(text)}'" for text in said.values())
    return Defect("mpp-stated-twice", f"aperio.MPP is stated more than once, as {texts}")


def _ome(description: str) -> Stated | None:
    """Read PhysicalSizeX and PhysicalSizeY of the first image; their default unit is µm."""
    pixels = _OME_PIXELS.search(description)
    given = {
        axis + unit: html.unescape(double or single).strip()
        for axis, unit, double, single in _OME_SIZE.findall(pixels[0] if pixels else "")
    }
    axes, odd = [], []
    for axis in "YX":
        unit = given.get(f"{axis}Unit", "µm")
        name = f"OME-XML PhysicalSize{axis}"
        factor = _UM_PER_LENGTH.get(unit)
        if axis in given and factor is None:
            what = f"{name} is '{_shown(given[axis])}' in '{_shown(unit)}', which is no length"
            return Stated("vendor property", name, None, (Defect("mpp-unit", what),))
        if axis in given and factor != 1:
            odd.append(Defect("mpp-unit-converted", f"{name} is '{_shown(given[axis])}' {unit}"))
        axes.append(_Axis(name, given.get(axis), factor or 1.0, unit))
    return _judged("vendor property", axes[0], axes[1], odd[:1])


def _tiff_resolution(properties: Mapping[str, str]) -> Stated | None:
    """Read pixels per inch or centimetre; ImageJ writes pixels per a unit of its own."""
    names = ("tiff.YResolution", "tiff.XResolution")
    texts = [properties.get(name) for name in names]
    if not any(texts):
        return None
    unit = properties.get("tiff.ResolutionUnit", "").strip().lower()
    unit_um, odd = _UM_PER_RESOLUTION_UNIT.get(unit), []
    description = properties.get("tiff.ImageDescription", "")
    if unit_um is None and description.startswith("ImageJ=") and _IMAGEJ_UNIT.search(description):
        unit = _IMAGEJ_UNIT.findall(description)[0].strip().replace("\\u00B5", "µ")
        unit_um = _UM_PER_LENGTH.get(unit)
        odd = [Defect("mpp-unit-converted", f"the TIFF resolution is per ImageJ's unit '{unit}'")]
    if unit_um is None:
        if set(texts) <= {"0", "1"}:  # what writers put there who know of none
            return None
        said = " x ".join(f"'{_shown(text or '')}'" for text in reversed(texts))
        what = f"the TIFF resolution {said} has the unit '{_shown(unit)}', which is no length"
        return Stated("TIFF resolution", names[1], None, (Defect("mpp-unit", what),))
    y, x = (
        _Axis(name, text, unit_um, f"pixels per {unit}", is_pixels_per_unit=True)
        for name, text in zip(names, texts, strict=True)
    )
    return _judged("TIFF resolution", y, x, odd)


def _judged(source: str, y: _Axis, x: _Axis, odd: Sequence[Defect] = ()) -> Stated | None:
    """Read both axes; use is made of them only where both are sound and agree."""
    if y.text is None and x.text is None:
        return None
    where = x.name if y.name == x.name else f"{x.name} and {re.split(r'[. ]', y.name)[-1]}"
    if y.text is None or x.text is None:
        there, gone = (x, y) if y.text is None else (y, x)
        what = f"{there.name} is '{_shown(there.text or '')}' but {gone.name} is missing"
        return Stated(source, where, None, (Defect("mpp-one-axis", what),))
    values = [_axis_um(axis) for axis in (y, x)]
    defects = {value.code: value for value in values if isinstance(value, Defect)}
    sizes = [value for value in values if not isinstance(value, Defect)]
    if defects:
        return Stated(source, where, None, tuple(defects.values()))
    if max(sizes) > min(sizes) * TOLERANCE:
        what = f"{where} differ: x is {sizes[1]:.4g} and y is {sizes[0]:.4g} µm per pixel"
        return Stated(source, where, None, (Defect("mpp-axes-differ", what),), True)
    comma = [
        Defect("mpp-decimal-comma", f"{axis.name} is '{_shown(axis.text or '')}', with a comma")
        for axis in (x, y)
        if "," in (axis.text or "")
    ]
    return Stated(source, where, sum(sizes) / 2, (*odd, *comma[:1]))


def _axis_um(axis: _Axis) -> float | Defect:
    """Return µm per pixel of one axis, or why there is none."""
    said = f"{axis.name} is '{_shown(axis.text or '')}'"
    number, code = _read_number(axis.text or "")
    if code is not None:
        return Defect(
            code, f"{said}, which is {_IS[code]}" if axis.text else f"{axis.name} is empty"
        )
    size = axis.um(number)
    if MPP_RANGE[0] <= size <= MPP_RANGE[1]:
        return size
    told = f" {axis.unit}, that is {size:.4g} µm per pixel," if axis.unit else " µm per pixel,"
    limits = f"{MPP_RANGE[0]:g} to {MPP_RANGE[1]:g} µm"
    return Defect("mpp-implausible", f"{said}{told} outside the plausible {limits}")


def _read_number(text: str) -> tuple[float, str | None]:
    """Return a number, 0 with the code of what is wrong where it is none that can be a size."""
    text = text.strip()
    if text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    if not text:
        return 0.0, "mpp-missing"
    if _INFINITE.fullmatch(text):
        return 0.0, "mpp-infinite"
    if not _NUMBER.fullmatch(text):
        return 0.0, "mpp-not-a-number"
    number = float(text)
    if math.isinf(number):
        return 0.0, "mpp-infinite"
    if number <= 0:
        return 0.0, "mpp-zero" if number == 0 else "mpp-negative"
    return number, None


def _shown(text: str) -> str:
    """Return what a file says in a form that is safe and short enough to print.

    Only numbers and what may be a unit are repeated: where anything else stands in such a field, it
    may be of a patient.
    """
    plain = "".join(sign if sign.isprintable() else " " for sign in text).strip()
    if _HARMLESS.fullmatch(plain) is None:
        return f"({len(plain)} signs, not shown)"
    return plain if len(plain) <= _SHOWN_CHARACTERS else f"{plain[:_SHOWN_CHARACTERS]}…"
