"""`DreSlclClassifier` on what users have: bags of different sizes, files, patients, reports."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from napari_dre_slcl import DreSlclClassifier, load_bundle
from napari_dre_slcl.engine.describe_bag import describe_bag
from napari_dre_slcl.errors import BagError, ConfigError

WORDS = {"LUAD": "glands of an adenocarcinoma", "LUSC": "nests of a squamous carcinoma"}


def _quick(**changed: Any) -> DreSlclClassifier:
    quick = {
        "codewords": 2,
        "epochs": 10,
        "least_steps": 0,
        "slides_per_batch": 8,
        "adapter_width": 16,
        "lr_rest": 0.02,
        "lr_adapter": 0.02,
        "settings": {"training.warmup_epochs": 0.0, "features.adapter_dropout": 0.0},
        "random_state": 0,
    }
    return DreSlclClassifier(**(quick | changed))


def _bags(n: int = 16, seed: int = 0) -> tuple[list[np.ndarray], list[str]]:
    """Return slides of which half the tiles tell the class, and their classes."""
    rng = np.random.default_rng(seed)
    labels = ["LUAD", "LUSC"] * (n // 2)
    bags = []
    for label in labels:
        tiles = rng.normal(size=(rng.integers(4, 12), 6)).astype(np.float32)
        tiles[::2, 0] += -4 if label == "LUAD" else 4
        bags.append(tiles)
    return bags, labels


@pytest.fixture(scope="module")
def fitted() -> DreSlclClassifier:
    bags, labels = _bags()
    return _quick().fit(bags, labels)


def test_bags_of_any_size_are_learned(fitted: DreSlclClassifier) -> None:
    bags, labels = _bags(seed=1)

    assert fitted.classes_.tolist() == ["LUAD", "LUSC"]
    assert fitted.n_features_in_ == 6
    assert fitted.score(bags, labels) > 0.9
    assert fitted.transform(bags).shape == (16, 16)
    assert len(fitted.history_) == 10
    assert fitted.history_[-1]["loss/label"] < fitted.history_[0]["loss/label"]


def test_a_slide_is_judged_alone_and_its_tiles_have_no_order(fitted: DreSlclClassifier) -> None:
    bags, _ = _bags(seed=2)

    together = fitted.predict_proba(bags)
    alone = np.concatenate([fitted.predict_proba([bag[::-1]]) for bag in bags])

    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-12)


def test_the_same_seed_gives_the_same_network(fitted: DreSlclClassifier) -> None:
    bags, labels = _bags()

    again = _quick().fit(bags, labels).predict_proba(bags)
    other = _quick(random_state=1).fit(bags, labels).predict_proba(bags)

    np.testing.assert_array_equal(again, fitted.predict_proba(bags))
    assert not np.allclose(other, again)


def test_feature_files_stand_for_their_arrays(fitted: DreSlclClassifier, tmp_path: Path) -> None:
    bags, labels = _bags()
    paths = []
    for number, bag in enumerate(bags):
        path = tmp_path / f"slide-{number}.h5"
        with h5py.File(path, "w") as file:
            file["features"] = bag
        paths.append(str(path))

    of_files = _quick().fit(paths, labels)

    np.testing.assert_array_equal(of_files.predict_proba(bags), fitted.predict_proba(bags))
    np.testing.assert_array_equal(fitted.transform(paths), fitted.transform(bags))


def test_what_is_pickled_holds_no_torch(fitted: DreSlclClassifier) -> None:
    bags, _ = _bags()

    stored = pickle.dumps(fitted)

    assert b"torch" not in stored
    np.testing.assert_array_equal(
        pickle.loads(stored).predict_proba(bags), fitted.predict_proba(bags)
    )


def test_a_saved_model_is_what_the_window_takes(fitted: DreSlclClassifier, tmp_path: Path) -> None:
    bags, _ = _bags()

    bundle = load_bundle(fitted.save_model(tmp_path / "model", task="subtype"))

    assert [task.name for task in bundle.tasks] == ["subtype"]
    assert bundle.tasks[0].classes == ("LUAD", "LUSC")
    said = describe_bag(bundle.net, bags[0])
    np.testing.assert_allclose(said.vector.numpy(), fitted.transform(bags)[0], atol=1e-6)


def test_reports_are_contrasted_and_only_fit_reads_them() -> None:
    bags, labels = _bags()
    reports = [f"Specimen {n}: {WORDS[label]}." for n, label in enumerate(labels)]

    model = _quick().fit(bags, labels, patients=range(len(bags)), reports=reports)

    assert "loss/contrastive" in model.history_[-1]
    assert model.state_.text_dim > 0
    assert model.predict(bags[:2]).shape == (2,)


def test_it_is_cross_validated_by_patient_in_a_pipeline() -> None:
    bags, labels = _bags()
    patients = [f"P{number // 4}-{number % 2}" for number in range(len(bags))]
    few_tiles = FunctionTransformer(lambda slides: [slide[:4] for slide in slides])

    scores = cross_val_score(
        make_pipeline(few_tiles, _quick(epochs=1)),
        bags,
        labels,
        groups=patients,
        cv=StratifiedGroupKFold(2),
        params={"dreslclclassifier__patients": patients},
    )

    assert scores.shape == (2,)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("method", ["mean-pool", "attention-mil"])
def test_the_other_methods_learn_from_the_same_bags(method: str) -> None:
    bags, labels = _bags()

    model = _quick(method=method, epochs=2, adapter_width=32).fit(bags, labels)

    assert model.predict_proba(bags).shape == (16, 2)
    assert model.transform(bags).shape == (16, {"mean-pool": 6, "attention-mil": 32}[method])


def test_classes_keep_their_columns_whatever_the_network_calls_negative() -> None:
    """The network puts a class such as 'normal' first; the columns are sorted all the same."""
    bags, labels = _bags()
    named = ["carcinoma" if label == "LUAD" else "normal" for label in labels]

    model = _quick().fit(bags, named)

    assert model.state_.task.classes == ("normal", "carcinoma")
    assert model.classes_.tolist() == ["carcinoma", "normal"]
    assert model.score(bags, named) > 0.9


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda bags, labels: (bags[:1], labels[:1]), "one bag only"),
        (lambda bags, labels: ([*bags[:-1], np.ones((3, 5))], labels), "Bag 15 has 5 features"),
        (lambda bags, labels: ([*bags[:-1], np.ones((0, 6))], labels), "Bag 15 cannot be used"),
        (lambda bags, labels: ([bags[0], bags[1] * np.nan, *bags[2:]], labels), "Bag 1 cannot"),
        (lambda bags, labels: ([bags[0], "no.h5", *bags[2:]], labels), "does not exist"),
        (lambda bags, labels: (bags, ["LUAD"] * len(bags)), "one class only"),
        (lambda bags, labels: (bags, None), "requires y"),
        (lambda bags, labels: (bags, [*labels[:-1], None]), "no class for bag 15, and 1 such"),
    ],
)
def test_what_cannot_be_used_is_named(change: Any, sentence: str) -> None:
    with pytest.raises(BagError, match=sentence) as found:
        _quick().fit(*change(*_bags()))
    assert isinstance(found.value, ValueError)


def test_too_few_patients_and_wrong_settings_are_refused() -> None:
    bags, labels = _bags()

    with pytest.raises(BagError, match="3 patients for 16 bags"):
        _quick().fit(bags, labels, patients=["a", "b", "c"])
    for settings in ({"training.epoch": 3}, {"training.patience": 3}, {"codebook.codewords": 1}):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            _quick(settings=settings, codewords=None).fit(bags, labels)


def test_tensors_are_bags(fitted: DreSlclClassifier) -> None:
    bags, _ = _bags()
    tensors = [torch.tensor(bag, requires_grad=True) for bag in bags]

    np.testing.assert_array_equal(fitted.predict_proba(tensors), fitted.predict_proba(bags))
