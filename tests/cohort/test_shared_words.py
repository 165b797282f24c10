"""Words of few patients do not leave with a model, and phrases of others stay where they were."""

from __future__ import annotations

import numpy as np

from napari_dre_slcl.cohort.reports import fit_report_encoder
from napari_dre_slcl.cohort.shared_words import keep_shared_words

SENTENCES = ("keratin pearls in nests", "mucin in glands", "necrosis in nests and glands")
REPORTS = tuple(
    f"{SENTENCES[number % 3]}. {name}"
    for number, name in enumerate(
        ["Aalto", "Baum", "Cohen", "Dupont", "Eco", "Fox", "Gruber", "Hahn", "Ito"]
    )
)
PATIENTS = tuple(f"P{number}" for number in range(9))


def test_names_of_single_patients_are_not_kept_and_phrases_are_where_they_were() -> None:
    full = fit_report_encoder(REPORTS, 4, 0)

    kept = keep_shared_words(full, REPORTS, PATIENTS)

    assert kept is not None
    assert not any(kept.knows(name) for name in ("aalto", "ito", "dupont"))
    assert all("aalto" not in term for term in kept.state()[0])
    phrases = ["keratin pearls", "mucin", "necrosis in nests", "glands, xylophone"]
    np.testing.assert_allclose(kept.encode(phrases), full.encode(phrases), atol=1e-6)


def test_a_name_in_many_slides_and_reports_of_one_patient_is_not_kept() -> None:
    same = (*REPORTS, "Zuse has nests", "Zuse has glands", "Zuse has mucin")
    full = fit_report_encoder(same, 4, 0)

    kept = keep_shared_words(full, same, (*PATIENTS, "Z", "Z", "Z"))

    assert kept is not None
    assert full.knows("zuse")
    assert not kept.knows("zuse")


def test_one_report_under_three_patient_ids_is_the_report_of_one_patient() -> None:
    same = (*REPORTS, *["Zuse has nests"] * 3)
    full = fit_report_encoder(same, 4, 0)

    kept = keep_shared_words(full, same, (*PATIENTS, "Z1", "Z2", "Z3"))

    assert kept is not None
    assert not kept.knows("zuse")


def test_without_words_of_three_patients_nothing_is_kept() -> None:
    reports = ("one", "two", "three", "four")
    full = fit_report_encoder([f"{word} {word}s" for word in reports], 3, 0)

    assert keep_shared_words(full, reports, reports) is None
