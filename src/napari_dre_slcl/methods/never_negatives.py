"""Which slides are never each other's negatives, told for a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["NeverNegatives", "never_negatives"]

_SAME_COSINE = 1 - 1e-5


@dataclass(frozen=True, slots=True)
class NeverNegatives:
    """A few numbers of each slide; a table of all pairs would grow with the square of the cohort.

    Parameters
    ----------
    patients : Tensor
        (n,) int64 number of each slide's patient.
    reports : Tensor
        (n,) int64 number of each slide's report text, -1 without one.
    vectors : Tensor
        (n, text_dim) unit report vectors; width 0 where reports play no part.
    sites : Tensor
        (n,) int64 number of each slide's site; all alike where slides of different sites may be
        negatives.
    """

    patients: Tensor
    reports: Tensor
    vectors: Tensor
    sites: Tensor

    def among(self, rows: Tensor) -> Tensor:
        """Return for (b,) slides which of them are never each other's negatives.

        Returns
        -------
        Tensor
            (b, b) bool, symmetric, True on the diagonal.
        """
        patients, reports, sites = self.patients[rows], self.reports[rows], self.sites[rows]
        vectors = self.vectors[rows]
        return (
            _equal(patients)
            | (_equal(reports) & (reports >= 0))
            # Whatever blanks or case differ in: to push a slide away from a report that it is
            # pulled towards teaches nothing.
            | (vectors @ vectors.T > _SAME_COSINE)
            | ~_equal(sites)
        )

    def of(self, rows: Tensor) -> NeverNegatives:
        """Return what is known of some slides, numbered by their place in `rows`."""
        return NeverNegatives(
            self.patients[rows], self.reports[rows], self.vectors[rows], self.sites[rows]
        )


def never_negatives(
    patients: Sequence[str],
    reports: Sequence[str] = (),
    sites: Sequence[str] = (),
    *,
    vectors: Tensor | None = None,
    within_site: bool = False,
) -> NeverNegatives:
    """Return which slides are never each other's negatives: of one patient, or of equal reports.

    Parameters
    ----------
    patients, reports, sites : sequence of str
        (n) of each slide. Slides without a report do not share one.
    vectors : Tensor, optional
        (n, text_dim) unit report vectors; equal ones are equal reports.
    within_site : bool
        Slides of different sites are no negatives either, so that telling sites apart gains
        nothing even where a rest batch mixes them.
    """
    n = len(patients)
    known = torch.tensor([bool(report) for report in reports] or [False] * n, dtype=torch.bool)
    return NeverNegatives(
        _numbered(patients),
        torch.where(known, _numbered(reports or [""] * n), -1),
        torch.zeros(n, 0) if vectors is None else vectors,
        _numbered(sites) if within_site else torch.zeros(n, dtype=torch.int64),
    )


def _numbered(values: Sequence[str]) -> Tensor:
    number = {value: index for index, value in enumerate(dict.fromkeys(values))}
    return torch.tensor([number[value] for value in values], dtype=torch.int64)


def _equal(numbers: Tensor) -> Tensor:
    return numbers[:, None] == numbers[None, :]
