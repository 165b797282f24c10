from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_dre_slcl.cohort.vector_cache import VectorCache

ONE = np.array([[1, 2, 3]], dtype=np.float32)


def test_a_vector_is_found_again_for_the_same_text_model_and_settings(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "new", "model", "settings")
    cache.add(["text"], ONE)
    assert cache.save() == ""
    again = VectorCache(tmp_path / "new", "model", "settings").get("text")
    np.testing.assert_array_equal(again, ONE[0])
    for model, settings, text in (
        ("other", "settings", "text"),
        ("model", "other", "text"),
        ("model", "settings", "text."),
    ):
        assert VectorCache(tmp_path / "new", model, settings).get(text) is None


def test_what_another_process_kept_meanwhile_stays(tmp_path: Path) -> None:
    first, second = (VectorCache(tmp_path, "model", setting) for setting in ("a", "b"))
    first.add(["text"], ONE)
    second.add(["text"], 2 * ONE)
    assert first.save() == second.save() == ""
    for setting, factor in (("a", 1), ("b", 2)):
        kept = VectorCache(tmp_path, "model", setting).get("text")
        np.testing.assert_array_equal(kept, factor * ONE[0])


def test_a_damaged_file_is_said_and_made_anew(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, "model", "")
    cache.add(["text"], ONE)
    cache.save()
    content = bytearray(cache.path.read_bytes())
    for damaged in (b"", bytes(content[:100]), bytes(content).replace(ONE.tobytes(), bytes(12))):
        cache.path.write_bytes(damaged)
        opened = VectorCache(tmp_path, "model", "")
        assert str(cache.path) in opened.problem
        assert "made anew" in opened.problem
        assert opened.get("text") is None
    opened.add(["text"], ONE)
    assert opened.save() == ""
    assert VectorCache(tmp_path, "model", "").problem == ""


def test_a_folder_that_cannot_be_written_gives_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = VectorCache(tmp_path / "file", "model", "")
    cache.add(["text"], ONE)
    assert "set text.cache to another folder" in cache.save()
    np.testing.assert_array_equal(cache.get("text"), ONE[0])
