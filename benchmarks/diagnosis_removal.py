"""How well reports tell LUAD from LUSC, whole and after `text.remove_diagnosis`.

    python benchmarks/diagnosis_removal.py [--cohort cohort.csv] [--column subtype]

Two measures on every slide that has a report and one of the two classes: the count of "squamous"
less the count of "adenocarcinoma" (nothing is fitted), and logistic regression on TF-IDF in five
folds, whose parts share no hospital (column site), or no patient. An AUC of 0.5 would mean that
nothing of the label is left. Last line: the probe by patient after removal. Exits with 1 where the
keyword count is more than 0.05 from 0.5 after removal.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline

from napari_dre_slcl.cohort.report_text import clean_report, has_words, trim_report

COHORT = Path(__file__).resolve().parents[2] / "shared/data/tcga_lung/cohort.csv"
WORDS = ("LUAD", "LUSC", "subtype")


def keyword_auc(texts: Sequence[str], is_squamous: NDArray[np.bool_]) -> float:
    """Return the AUC of a keyword count."""
    counts = [
        text.lower().count("squamous") - text.lower().count("adenocarcinoma") for text in texts
    ]
    return float(roc_auc_score(is_squamous, counts))


def probe_auc(
    texts: Sequence[str], is_squamous: NDArray[np.bool_], groups: Sequence[str]
) -> NDArray[np.float64]:
    """Return the AUC of each fold of a bag-of-words classifier."""
    reports = np.array(texts, dtype=object)
    aucs = []
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for train, test in folds.split(reports, is_squamous, groups):
        model = make_pipeline(
            TfidfVectorizer(sublinear_tf=True, min_df=2), LogisticRegression(C=10, max_iter=500)
        ).fit(reports[train], is_squamous[train])
        aucs.append(roc_auc_score(is_squamous[test], model.decision_function(reports[test])))
    return np.array(aucs)


def main() -> int:
    """Measure before and after."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cohort", type=Path, default=COHORT)
    parser.add_argument("--column", default="subtype")
    options = parser.parse_args()
    frame = pd.read_csv(options.cohort, dtype=str, keep_default_na=False)
    frame = frame[(frame["report"] != "") & frame[options.column].isin(["LUAD", "LUSC"])]
    is_squamous = (frame[options.column] == "LUSC").to_numpy()
    whole = [clean_report(text) for text in frame["report"]]
    trimmed = [trim_report(text, [word.lower() for word in WORDS]) for text in whole]
    left = [report.text for report in trimmed]
    n_words = [sum(len(text.split()) for text in texts) for texts in (whole, left)]
    print(
        f"{len(whole)} reports; {sum(t.n_dropped for t in trimmed)} of "
        f"{sum(t.n_sentences for t in trimmed)} sentences dropped in "
        f"{sum(t.n_dropped > 0 for t in trimmed)} reports, {n_words[1] / n_words[0]:.0%} of the "
        f"words left, nothing left of {sum(not has_words(text) for text in left)}"
    )
    counted = [keyword_auc(texts, is_squamous) for texts in (whole, left)]
    print(f"keyword count: AUC {counted[0]:.3f} before, {counted[1]:.3f} after")
    for group in ("site", "patient_id"):
        for name, texts in (("before", whole), ("after", left)):
            aucs = probe_auc(texts, is_squamous, frame[group])
            print(f"TF-IDF, folds by {group}, {name}: AUC {aucs.mean():.3f} ± {aucs.std():.3f}")
    return 0 if abs(counted[1] - 0.5) <= 0.05 else 1


if __name__ == "__main__":
    sys.exit(main())
