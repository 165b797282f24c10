"""Report text before it becomes a vector: cleaning, sentences, removal of the diagnosis.

Knows strings only; which reports are for training is the caller's business.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from napari_dre_slcl.cohort.tasks import Task

__all__ = ["Trimmed", "clean_report", "has_words", "label_words", "split_sentences", "trim_report"]

# All of Unicode's category Cc except the line end.
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]+")
_WORD = re.compile(r"\w\w")

# What may be repeated before a word that decides is bounded, in these expressions and in the names
# of tumours: else a text of nothing but such repetitions takes minutes.
# A heading stands at the start of a line or a sentence, or inside one with a colon after it.
_DIAGNOSIS_HEAD = (
    r"(?i:(?:(?:final|main|principal|pathologic(?:al)?|histo(?:patho)?logic(?:al)?|post-?operative|"
    r"pre-?\s?operative|microscopic|morphologic(?:al)?|cytologic(?:al)?|clinical|frozen\s+section|"
    r"intraoperative|consultation|section|pre-?\s?op)\s+){0,4}d\s?iagnos[ie]s"
    r"(?:/\s*diagnoses)?(?:\s+and\s+comments?|\s*\([^)]{0,30}\))?|"
    r"conclusions?|assessment|interpretation|(?:final\s+)?impression|summary|"
    r"histologic(?:al)?\s+(?:sub)?types?|tumou?r\s+(?:cell\s+)?types?|histology)"
)
_OTHER_HEAD = (
    r"(?i:(?:gross|macroscopic|microscopic|tissue|specimen|clinical)\s+"
    r"(?:description|examination|findings|history|notes?|information|data|summary)|"
    r"macroscopy|microscopy|gross|specimens?(?:\(s\))?|procedures?|history|"
    r"addendum|block\s+summary|immuno\w*(?:\s+\w+)?|"
    r"tumou?r\s+(?:size|site|focality|location)|comments?(?:/[\w\s]{0,30})?)"
)
_HEADING = re.compile(
    rf"(?:[A-Z]?\d{{0,2}}[.)]\s*)?(?:(?P<diagnosis>{_DIAGNOSIS_HEAD})|{_OTHER_HEAD})"
    r"\s*(?::|-\s|$)"
)
_RUNNING_HEADING = re.compile(rf"(?<!\S)(?:{_DIAGNOSIS_HEAD}|{_OTHER_HEAD})\s*:")
_BREAK = re.compile(r"\n+|(?<=[.!?;])\s+(?=[A-Z0-9(\[\"'*-])")

# Names of tumours and of the lines they come from: enough of a stem to meet OCR and spelling.
_HISTOLOGY = re.compile(
    r"carcino\w*|\badeno\w*|\bsquam\w*|\bepidermoid|sarcoma\w*|\bmelanoma\w*|lymphoma\w*|"
    r"mesothelioma\w*|blastoma\w*|\b\w*glioma\w*|leuka?emia\w*|myeloma\w*|adenoma\w*|"
    r"\bmalignan\w*|\bnsclc\b|\bsclc\b|\bluad\b|\blusc\b|\bscc\b|\bbac\b|bronch\w{0,12}alveolar|"
    r"\blepidic|\bacinar|\bpapillary|\bkeratini\w*|\bbenign\b|"
    r"\bm?-?\s?8\d{3}\s?/?\s?[01236]\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A report without the sentences that name its diagnosis.

    Parameters
    ----------
    text : str
        What is left; may be empty.
    n_sentences, n_dropped : int
        How many sentences there were, and how many went.
    """

    text: str
    n_sentences: int
    n_dropped: int


def clean_report(text: str) -> str:
    """Return a report in NFC with single blanks and lines and without control characters."""
    text = unicodedata.normalize("NFC", text).replace("\r", "\n")
    lines = (" ".join(line.split()) for line in _CONTROLS.sub(" ", text).split("\n"))
    return "\n".join(line for line in lines if line)


def has_words(text: str) -> bool:
    """Say whether a report holds a word of two signs or more, in small letters as TF-IDF reads."""
    return _WORD.search(text.lower()) is not None


def split_sentences(text: str) -> list[str]:
    """Split a report at line ends, after sentences and before the headings that are known.

    A full stop before a small letter ends no sentence: "1.2 cm. nodule" stays whole.
    """
    parts = _BREAK.split(_RUNNING_HEADING.sub(r"\n\g<0>", text))
    return [part.strip() for part in parts if part.strip()]


def label_words(tasks: Iterable[Task]) -> tuple[str, ...]:
    """Return the names of tasks and classes that can be looked for in a text.

    Names shorter than three signs, such as "0", "B" or "no", would empty every report.
    """
    names = (name.strip() for task in tasks for name in (task.name, *task.classes))
    return tuple(sorted({name.lower() for name in names if len(name) > 2 and has_words(name)}))


def trim_report(text: str, words: Iterable[str] = ()) -> Trimmed:
    """Drop what names the diagnosis.

    A section under a heading such as "Final diagnosis" goes up to the next heading that is known;
    elsewhere a sentence goes that holds a given word or the name of a tumour. What is left may
    still tell the diagnosis by its signs, for instance by its stains.

    Parameters
    ----------
    text : str
        A cleaned report.
    words : iterable of str
        Further words to look for, as `label_words` returns them.
    """
    named = _any_of(words)
    sentences = split_sentences(text)
    kept: list[str] = []
    in_diagnosis = False
    for sentence in sentences:
        heading = _HEADING.match(sentence)
        if heading:
            in_diagnosis = heading["diagnosis"] is not None
        if not (in_diagnosis or _HISTOLOGY.search(sentence) or (named and named.search(sentence))):
            kept.append(sentence)
    return Trimmed("\n".join(kept), len(sentences), len(sentences) - len(kept))


def _any_of(words: Iterable[str]) -> re.Pattern[str] | None:
    escaped = "|".join(re.escape(word) for word in words)
    return re.compile(rf"(?<!\w)(?:{escaped})(?!\w)", re.IGNORECASE) if escaped else None
