"""Which pixel size a slide has, who says so, and what is doubtful about it.

A given value wins, then the vendor's, then the TIFF resolution; the objective is an estimate and
the last resort. Nothing is chosen without a finding that says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.info import Finding, Severity
from napari_dre_slcl.slide.stated_mpp import (
    MPP_RANGE,
    TOLERANCE,
    Defect,
    Stated,
    stated_objective,
    stated_sizes,
)

__all__ = ["MPP_RANGE", "WAYS", "GivenMpp", "PixelSize", "check_mpp", "judge_pixel_size"]

_OBJECTIVE_TOLERANCE = 1.5
_UM_TIMES_POWER = 10.0  # a 40x scan has about 0.25 µm per pixel, a 20x scan 0.5
WAYS = "with mpp= or --mpp, in the cohort table's mpp column, or in the window's Slide tab"
"""The three ways to give a pixel size, as every sentence names them."""
_ORDER: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class GivenMpp:
    """A pixel size that somebody gave.

    Parameters
    ----------
    mpp : float
        µm per level-0 pixel.
    source : str
        "user", "cohort table" or "stored answer".
    """

    mpp: float
    source: str


@dataclass(frozen=True, slots=True)
class PixelSize:
    """The outcome.

    Parameters
    ----------
    mpp : float or None
        µm per level-0 pixel.
    source : str
        As `SlideInfo.mpp_source`.
    findings : tuple of Finding
        The gravest first.
    """

    mpp: float | None
    source: str
    findings: tuple[Finding, ...]


def check_mpp(name: str, mpp: float) -> float:
    """Return a pixel size that somebody gives, if it is plausible.

    Parameters
    ----------
    name : str
        Of the slide, for the message.
    mpp : float
        µm per level-0 pixel.

    Raises
    ------
    SlideError
        If it is outside 0.1 to 10.
    """
    if not MPP_RANGE[0] <= mpp <= MPP_RANGE[1]:
        raise SlideError(
            f"Slide '{name}': a pixel size of {mpp:g} µm is not plausible; "
            f"give mpp between {MPP_RANGE[0]:g} and {MPP_RANGE[1]:g}."
        )
    return float(mpp)


def judge_pixel_size(
    name: str,
    properties: Mapping[str, str],
    given: GivenMpp | None = None,
    others: Sequence[Finding] = (),
) -> PixelSize:
    """Decide on µm per level-0 pixel and say what is wrong with the header.

    Parameters
    ----------
    name : str
        Of the slide, for the sentences.
    properties : mapping
        OpenSlide's names (`openslide.mpp-x`, `aperio.MPP`, `tiff.XResolution`, ...).
    given : GivenMpp, optional
        Wins over the file.
    others : sequence of Finding
        About stored answers; told together with ours.

    Raises
    ------
    SlideError
        If the given value is outside 0.1 to 10.
    """
    if given is not None:
        check_mpp(name, given.mpp)
    statements = stated_sizes(properties)
    power, odd_power = stated_objective(properties)
    choice = _Choice(name, given, statements, power)
    found = [
        *choice.about_statements(),
        *choice.about_contradictions(),
        *choice.about_objective(odd_power),
        *others,
    ]
    findings = tuple(sorted(found, key=lambda finding: _ORDER.index(finding.severity)))
    return PixelSize(choice.mpp, choice.source, findings)


class _Choice:
    """The pixel size that is used, and sentences about what was not."""

    def __init__(
        self,
        name: str,
        given: GivenMpp | None,
        statements: Sequence[Stated],
        power: float | None,
    ) -> None:
        self._name = name
        self._given = given
        self._statements = statements
        self._power = power
        is_trusted = not any(statement.is_contradictory for statement in statements)
        self._usable = [one for one in statements if one.mpp is not None and is_trusted]
        self.mpp: float | None = None
        self.source, self._by = "unknown", ""
        if given is not None:
            self.mpp, self.source, self._by = given.mpp, given.source, _by(given.source)
        elif self._usable:
            used = self._usable[0]
            self.mpp, self.source, self._by = used.mpp, used.source, f"of {used.where}"
        elif power is not None and is_trusted:
            self.mpp, self.source = _UM_TIMES_POWER / power, "objective power"
            self._by = "estimated from the objective"

    @property
    def _used(self) -> str:
        return f"the {self.mpp:.4g} µm {self._by}"

    def about_statements(self) -> list[Finding]:
        """Say what is wrong with each place of the header, and what is odd but was understood."""
        found: list[Finding] = []
        is_settled = self._given is not None
        for statement in self._statements:
            is_used = bool(self._usable) and statement is self._usable[0]
            for defect in statement.defects:
                if statement.mpp is None:
                    found.append(self._unusable(defect, is_settled))
                elif is_used and self._given is None:
                    what = f"{defect.what}, and is read as {statement.mpp:.4g} µm per pixel"
                    found.append(self._finding(defect.code, "note", what, _nothing_to_do()))
            is_settled = is_settled or is_used
        if not any(statement.defects for statement in self._statements) and not self._usable:
            found += self._missing()
        return found

    def about_contradictions(self) -> list[Finding]:
        """Say which values contradict the one that is used, or each other."""
        found = []
        stated = self._usable[0] if self._usable else None
        if self._given is not None and stated is not None and _differ(self.mpp, stated.mpp):
            what = f"{self._used} contradicts the {stated.mpp:.4g} µm of {stated.where}"
            then = f"the value {self._by} is used; make sure that it is right, or give none"
            found.append(self._finding("mpp-against-file", "warning", what, then))
        if len(self._usable) > 1 and _differ(self._usable[0].mpp, self._usable[1].mpp):
            first, second = self._usable[:2]
            what = (
                f"a pixel has {first.mpp:.4g} µm by {first.where} but {second.mpp:.4g} µm by "
                f"{second.where}"
            )
            found.append(self._doubt("mpp-against-resolution", what))
        return found

    def about_objective(self, odd: Defect | None) -> list[Finding]:
        """Say that the size is an estimate, or that the objective does not fit it."""
        if odd is not None:
            return [
                self._finding(odd.code, "note", odd.what, "it is left out, so nothing needs doing")
            ]
        if self._power is None or self.mpp is None:
            return []
        expected = _UM_TIMES_POWER / self._power
        if self.source == "objective power":
            what = (
                f"the file states no usable pixel size; {self.mpp:.4g} µm is an estimate from the "
                f"{self._power:g}x objective and may be off by half"
            )
            return [self._finding("mpp-estimated", "warning", what, f"give the true one {WAYS}")]
        if max(self.mpp, expected) <= min(self.mpp, expected) * _OBJECTIVE_TOLERANCE:
            return []
        what = (
            f"{self._used} does not fit the {self._power:g}x objective, with which about "
            f"{expected:.4g} µm is usual"
        )
        return [self._doubt("mpp-against-objective", what)]

    def _unusable(self, defect: Defect, is_settled: bool) -> Finding:
        if self.mpp is None:
            what = f"no known pixel size: {defect.what}"
            return self._finding(defect.code, "error", what, f"give it {WAYS}")
        if is_settled:
            then = f"{self._used} is used, so nothing needs doing"
            return self._finding(defect.code, "note", defect.what, then)
        then = f"{self._used} is used instead; check it, and if it is wrong give another {WAYS}"
        return self._finding(defect.code, "warning", defect.what, then)

    def _missing(self) -> list[Finding]:
        if self.mpp is None:
            what = "no known pixel size: its file states none"
            return [self._finding("mpp-missing", "error", what, f"give it {WAYS}")]
        if self._given is None:  # the estimate says so itself
            return []
        then = f"{self._used} is used, so nothing needs doing"
        return [self._finding("mpp-missing", "note", "its file states no pixel size", then)]

    def _doubt(self, code: str, what: str) -> Finding:
        """Tell of a contradiction, which is settled where somebody gave what the file says."""
        is_confirmed = self._given is not None and any(
            not _differ(self._given.mpp, one.mpp) for one in self._usable
        )
        if is_confirmed:
            return self._finding(code, "note", what, f"{self.mpp:.4g} µm is used, as given")
        then = f"{self.mpp:.4g} µm is used; check it, and if it is wrong give another {WAYS}"
        return self._finding(code, "warning", what, then)

    def _finding(self, code: str, severity: Severity, what: str, then: str) -> Finding:
        has = " has " if what.startswith("no known") else ": "
        sentence = f"Slide '{self._name}'{has}{what}; {then}."
        return Finding(code=code, severity=severity, sentence=sentence)


def _by(source: str) -> str:
    return {
        "user": "that was given",
        "cohort table": "of the cohort table",
        "stored answer": "of the stored answer",
    }.get(source, f"({source})")


def _nothing_to_do() -> str:
    return "nothing needs doing unless that is wrong"


def _differ(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return False
    return max(one, other) > min(one, other) * TOLERANCE
