from __future__ import annotations

import time
import unicodedata

import pytest

from napari_dre_slcl.cohort.report_text import (
    clean_report,
    has_words,
    label_words,
    split_sentences,
    trim_report,
)
from napari_dre_slcl.cohort.tasks import Task

REPORT = (
    "SPECIMEN: Left upper lobe. GROSS DESCRIPTION: A firm nodule of 1.2 cm. near the pleura. "
    "FINAL DIAGNOSIS: Lung, left upper lobe: Grade 2 tumor. Margins are free. "
    "COMMENT: There is necrosis. The tumor is an invasive adeno carcinoma. No vessels are invaded."
)


def test_cleaning_keeps_lines_and_single_blanks() -> None:
    assert clean_report("  a\x00b \t c\r\n\r\n  d\u0301e ") == "a b c\nd\u0301e"
    assert clean_report("e\u0301") == "\u00e9"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("", ""),
        (" \r\n\t\x00\n ", ""),
        ("a\rb\r\r\nc\n\n\nd", "a\nb\nc\nd"),
        ("a\x0bb\x0cc\x1cd\x1ee\x85f\x7fg\x9f", "a b c d e f g"),
        ("a\u2028b\u2029c\u3000\u00a0d", "a b c d"),
        ("a\x07\n\x07b \x00\n", "a\nb"),
        ("\ufeffa\u200bb\u00adc", "\ufeffa\u200bb\u00adc"),
        ("a \u0301\n\u0301", "a \u0301\n\u0301"),
        ("\ud800 \U0001f600", "\ud800 \U0001f600"),
    ],
)
def test_cleaning_of_odd_signs(text: str, cleaned: str) -> None:
    assert clean_report(text) == cleaned
    assert clean_report(cleaned) == cleaned


def test_no_control_character_is_left_but_line_ends() -> None:
    every = "".join(f"x{chr(code)}" for code in range(0x3000))
    left = {sign for sign in clean_report(every) if unicodedata.category(sign) == "Cc"}
    assert left == {"\n"}


def test_signs_alone_are_no_words() -> None:
    assert has_words("no tumor")
    assert not has_words("- . a 1 --")


def test_sentences_end_at_stops_lines_and_before_headings() -> None:
    assert split_sentences("A nodule of 1.2 cm. near the pleura. It is grey! Gross: soft\ntan") == [
        "A nodule of 1.2 cm. near the pleura.",
        "It is grey!",
        "Gross: soft",
        "tan",
    ]


def test_the_diagnosis_section_goes_up_to_the_next_heading() -> None:
    trimmed = trim_report(REPORT)
    assert trimmed.text.splitlines() == [
        "SPECIMEN: Left upper lobe.",
        "GROSS DESCRIPTION: A firm nodule of 1.2 cm. near the pleura.",
        "COMMENT: There is necrosis.",
        "No vessels are invaded.",
    ]
    assert (trimmed.n_sentences, trimmed.n_dropped) == (7, 3)


@pytest.mark.parametrize(
    "sentence",
    [
        "Poorly differentiated squamous cell cancer.",
        "SQUAMOUS features.",
        "Morphology code M8140/3.",
        "An adenocarcinoma of the lung.",
        "Diagnosis: grade 2.",
        "Pre-operative diagnosis: mass.",
        "Histologic type: other.",
        "Conclusion: as above.",
        "A basaloid variant.",
    ],
)
def test_a_sentence_that_names_the_diagnosis_goes(sentence: str) -> None:
    assert trim_report(sentence, ["basaloid"]).text == ""


@pytest.mark.parametrize(
    "sentence",
    [
        "The diagnostic block is A1.",
        "Basaloids are absent.",
        "TTF-1 is positive.",
        "The mass is 8140 mm wide.",
        "A tumor of 3 cm.",
    ],
)
def test_a_sentence_without_the_diagnosis_stays(sentence: str) -> None:
    assert trim_report(sentence, ["basaloid"]).text == sentence


def test_class_and_task_names_are_looked_for_unless_they_are_too_short() -> None:
    tasks = (
        Task("subtype", ("LUAD", "LUSC"), "LUSC"),
        Task("TP53", ("0", "1"), "1"),
        Task("B", ("no", "yes"), "yes"),
    )
    assert label_words(tasks) == ("luad", "lusc", "subtype", "tp53", "yes")
    assert trim_report("TP53: mutated. Pale.", label_words(tasks)).text == "Pale."


@pytest.mark.parametrize("repeated", ["final ", "bronch", "Final pathologic clinical "])
def test_a_report_that_repeats_itself_takes_no_longer_than_another(repeated: str) -> None:
    begun = time.process_time()
    trim_report(clean_report(repeated * 20_000))
    assert time.process_time() - begun < 5
