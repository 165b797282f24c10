"""The sentences of the panels, without a window."""

from __future__ import annotations

from napari_dre_slcl.gui.texts import epoch_text, seconds_rows

EPOCH = {"loss": 1.23456, "lr/encoder": 3e-5, "seconds/reading": 1.0, "seconds/encoder": 3.0}


def test_an_epoch_is_told_without_its_seconds() -> None:
    assert epoch_text(EPOCH) == "loss 1.235, lr/encoder 3e-05"


def test_seconds_are_shares_in_the_order_of_a_step() -> None:
    assert seconds_rows(EPOCH) == [("reading", 0.25, "1.0 s"), ("encoder", 0.75, "3.0 s")]
    assert seconds_rows({"loss": 1.0}) == []
