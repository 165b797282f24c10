"""Reports become vectors: by TF-IDF, by a file, by language models with the network off."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort, SlideRow
from napari_dre_slcl.config import load_preset, with_overrides
from napari_dre_slcl.engine.report_vectors import report_vectors
from napari_dre_slcl.engine.reporter import Reporter, Stopped
from napari_dre_slcl.errors import CohortError, ConfigError, ModelError
from napari_dre_slcl.jobs.messages import Event, Log, Progress

REPORTS = ("w1 w2 w3", "w4 w5", "", "w6 w7 w8 w9", "w1 w2 w3", " ".join(["w10 w11"] * 40))
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Run:
    """One call of `report_vectors`, and what it said."""

    def __init__(
        self,
        reports: Sequence[str],
        settings: dict[str, object],
        *,
        labels: Sequence[str] = (),
        n_held_out: int = 0,
        stop_after: float = float("inf"),
    ) -> None:
        self.events: list[Event] = []
        rows = tuple(
            SlideRow(f"s{n}", Path("a.tif"), f"p{n}", "", text, None, "", {"subtype": label})
            for n, (text, label) in enumerate(
                zip(reports, labels or [""] * len(reports), strict=True)
            )
        )
        config = with_overrides(
            load_preset("cpu-small"),
            {"training.device": "cpu", "loss.contrastive_weight": 1.0} | settings,
        )
        is_train = np.arange(len(rows)) < len(rows) - n_held_out

        def on_event(event: Event) -> None:
            self.events.append(event)

        reporter = Reporter(on_event, lambda: self.n_read > stop_after)
        cohort = Cohort(Path("cohort.csv"), rows, ("subtype",))
        self.vectors: NDArray[np.float32] = np.empty((0, 0), np.float32)
        try:
            self.vectors = report_vectors(cohort, is_train, config, reporter)[0]
            self.is_stopped = False
        except Stopped:
            self.is_stopped = True

    @property
    def _reading(self) -> list[Progress]:
        return [e for e in self.events if isinstance(e, Progress) and e.stage == "Reading reports"]

    @property
    def n_read(self) -> int:
        """How many reports the language model has read."""
        return max((event.done for event in self._reading), default=0)

    @property
    def log(self) -> str:
        return "\n".join(event.message for event in self.events if isinstance(event, Log))

    @property
    def warnings(self) -> list[str]:
        return [e.message for e in self.events if isinstance(e, Log) and e.level == "warning"]


@pytest.fixture
def llama(tiny_llama: Path, tmp_path: Path) -> dict[str, object]:
    """Settings that read reports with the tiny LLaMA and keep them in the test's own folder."""
    return {
        "text.encoder": "llama",
        "text.model": str(tiny_llama),
        "text.cache": str(tmp_path / "cache"),
    }


@pytest.fixture
def hub_model(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network_attempts: object
) -> Path:
    """Put the tiny LLaMA into a local cache of the hub as own/tiny, and return its weights."""
    import huggingface_hub

    place = tmp_path / "hub" / "models--own--tiny"
    shutil.copytree(tiny_llama, place / "snapshots" / COMMIT)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return place / "snapshots" / COMMIT / "model.safetensors"


def test_minilm_reads_reports_with_the_network_off(
    minilm: Path, tmp_path: Path, network_attempts: list[object]
) -> None:
    reports = ["Squamous cell carcinoma.", "", "Squamous carcinoma, keratin.", "Fat.", "kept away"]
    run = Run(
        reports,
        {
            "text.encoder": "huggingface",
            "text.model": str(minilm),
            "text.cache": str(tmp_path),
        },
        n_held_out=1,
    )
    one, none, like, other = run.vectors
    assert run.vectors.dtype == np.float32
    assert run.vectors.shape == (4, 384)
    assert np.linalg.norm(run.vectors, axis=1) == pytest.approx([1, 0, 1, 1], abs=1e-5)
    assert one @ like > 0.6 > one @ other
    assert not none.any()
    assert run.n_read == 3
    assert "None is longer than 512 tokens" in run.log
    assert not network_attempts


def test_equal_reports_are_read_once_and_long_ones_whole(llama: dict[str, object]) -> None:
    run = Run(REPORTS, llama)
    assert run.n_read == 4
    assert "1 are longer than 32 tokens and were read whole, in up to 3 chunks" in run.log
    assert "5 of 6 training slides have a report" in run.log
    np.testing.assert_array_equal(run.vectors[0], run.vectors[4])


def test_the_second_run_needs_no_weights(llama: dict[str, object], hub_model: Path) -> None:
    settings = llama | {"text.model": "own/tiny"}
    first = Run(REPORTS, settings)
    hub_model.write_bytes(b"gone")
    second = Run(REPORTS, settings)
    np.testing.assert_array_equal(first.vectors, second.vectors)
    assert (first.n_read, second.n_read) == (4, 0)
    assert "their vectors are kept in" in second.log
    with pytest.raises(ModelError, match="are damaged"):
        Run([*REPORTS, "w20"], settings)


def test_other_settings_and_other_weights_are_read_anew(
    llama: dict[str, object], tiny_llama: Path, tmp_path: Path
) -> None:
    first = Run(REPORTS, llama)
    shorter = Run(REPORTS, llama | {"text.chunk_tokens": 16})
    assert shorter.n_read == 4
    assert np.abs(first.vectors[5] - shorter.vectors[5]).max() > 1e-4
    moved = shutil.copytree(tiny_llama, tmp_path / "moved")
    assert Run(REPORTS, llama | {"text.model": str(moved)}).n_read == 0
    weights = bytearray((moved / "model.safetensors").read_bytes())
    weights[-2] ^= 1
    (moved / "model.safetensors").write_bytes(weights)
    assert Run(REPORTS, llama | {"text.model": str(moved)}).n_read == 4


def test_what_was_read_before_a_stop_is_kept(llama: dict[str, object]) -> None:
    reports = [f"w{number} w{number + 1}" for number in range(10)]
    stopped = Run(reports, llama, stop_after=3)
    assert stopped.is_stopped
    assert stopped.n_read == 4
    rest = Run(reports, llama)
    assert rest.n_read == 6
    assert "the vectors of 4 others were kept from before" in rest.log
    whole = Run(reports, llama | {"text.cache": str(llama["text.cache"]) + "-other"})
    np.testing.assert_array_equal(rest.vectors, whole.vectors)


def test_a_damaged_cache_is_said_and_made_anew(llama: dict[str, object]) -> None:
    first = Run(REPORTS, llama)
    (kept,) = Path(str(llama["text.cache"])).glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:200])
    again = Run(REPORTS, llama)
    assert len(again.warnings) == 1
    assert f"'{kept}' cannot be used" in again.warnings[0]
    np.testing.assert_array_equal(first.vectors, again.vectors)
    assert Run(REPORTS, llama).n_read == 0


def test_a_cache_that_cannot_be_written_is_said_and_the_vectors_are_there(
    llama: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    run = Run(REPORTS, llama | {"text.cache": str(tmp_path / "file")})
    assert "set text.cache to another folder" in run.warnings[-1]
    assert np.linalg.norm(run.vectors[0]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("/nowhere/model", "'/nowhere/model' is no folder"),
        ("own/none", "neither a folder nor to be had from the Hugging Face hub"),
        (".", "holds no language model: it has no config.json"),
    ],
)
def test_a_model_that_is_not_there_gives_a_sentence(
    llama: dict[str, object], hub_model: Path, model: str, sentence: str
) -> None:
    with pytest.raises(ModelError, match=sentence):
        Run(REPORTS, llama | {"text.model": model})


def test_chunks_beyond_the_model_are_refused(llama: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="more than the 32 tokens"):
        Run(REPORTS, llama | {"text.chunk_tokens": 100})


def test_ready_vectors_need_no_reports(tmp_path: Path) -> None:
    path = tmp_path / "ready.npz"
    ids = [f"s{number}" for number in range(4)]
    np.savez(path, slide_id=ids, vectors=2 * np.eye(4, dtype=np.float32))
    settings: dict[str, object] = {"text.encoder": "vectors", "text.vectors": str(path)}
    run = Run([""] * 6, settings, n_held_out=1)
    np.testing.assert_array_equal(run.vectors, np.eye(5, 4))
    assert run.warnings == [
        f"The report vectors '{path}' lack 1 of 5 training slides: 's4'; they go without a report."
    ]
    np.savez(path, slide_id=ids, vectors=np.ones((4, 2), dtype=np.float32))
    with pytest.raises(CohortError, match="fewer than three different vectors"):
        Run([""] * 5, settings)


def test_removing_the_diagnosis_says_how_much_went_and_spares_held_out_reports() -> None:
    reports = [
        "A pale nodule. Adenocarcinoma.",
        "A grey mass. LUSC is seen. Final diagnosis: grade 2.",
        "Soft lung. Lusciously pink.",
        "Adenocarcinoma.",
        "Held out: squamous cell carcinoma.",
    ]
    settings: dict[str, object] = {"text.remove_diagnosis": True}
    run = Run(reports, settings, labels=["LUAD", "LUSC", "LUAD", "LUSC", "LUSC"], n_held_out=1)
    assert "Left out 4 of 8 sentences" in run.log
    assert "in 3 of 4 training reports; nothing is left of 1" in run.log
    assert run.vectors.any(axis=1).tolist() == [True, True, True, False]


def test_without_any_report_training_goes_on_without_contrast() -> None:
    run = Run(["", " ", ""], {})
    assert run.vectors.shape == (3, 0)
    assert run.warnings == [
        "No training slide has a report: training goes on without the report contrast."
    ]
    assert Run(REPORTS, {"loss.contrastive_weight": 0.0}).vectors.shape == (6, 0)


@pytest.mark.parametrize("encoder", ["tfidf-svd", "llama"])
@pytest.mark.parametrize("reports", [["one report", "", ""], ["--", "..", "- -", "?"]])
def test_too_few_reports_with_words_are_refused(
    llama: dict[str, object], encoder: str, reports: list[str]
) -> None:
    with pytest.raises(CohortError, match="different reports with words are in the training set"):
        Run(reports, llama | {"text.encoder": encoder})


def test_signs_without_a_word_count_as_no_report() -> None:
    run = Run(["pale tissue", "grey mass", "soft lung", "---"], {})
    assert run.vectors.any(axis=1).tolist() == [True, True, True, False]
    assert "3 of 4 training slides have a report; TF-IDF and SVD give vectors" in run.log


def test_a_model_in_the_cache_folder_of_the_hub_is_named_with_its_revision(
    llama: dict[str, object], hub_model: Path
) -> None:
    assert Run(REPORTS, llama | {"text.model": f"own/tiny@{COMMIT}"}).n_read == 4
    assert Run(REPORTS, llama | {"text.model": "own/tiny"}).n_read == 0
