"""Self-distillation against steps worked out by hand."""

import math

import pytest
import torch
from torch import nn

from napari_dre_slcl.model.dino import Centring, DinoHead, distillation, follow, view_agreement


def test_the_centre_moves_by_its_momentum() -> None:
    centring = Centring(2, momentum=0.9, temperature=0.5)
    centring.update(torch.tensor([[1.0, 4.0], [3.0, 0.0]]))  # mean (2, 2)
    torch.testing.assert_close(centring.centre, torch.tensor([0.2, 0.2]))
    centring.update(torch.tensor([[1.0, -1.0]]))  # 0.9 * 0.2 + 0.1 * (1, -1)
    torch.testing.assert_close(centring.centre, torch.tensor([0.28, 0.08]))


def test_the_centre_is_taken_off_before_the_temperature_divides() -> None:
    centring = Centring(2, momentum=0.0, temperature=0.5)
    centring.update(torch.tensor([[1.0, 0.0]]))
    # ((2, 0) - (1, 0)) / 0.5 = (2, 0)
    share = math.exp(2) / (math.exp(2) + 1)
    torch.testing.assert_close(centring(torch.tensor([[2.0, 0.0]]))[0, 0].item(), share)


def test_no_outputs_leave_the_centre() -> None:
    centring = Centring(3, momentum=0.5, temperature=1.0)
    centring.update(torch.ones(1, 3))
    before = centring.centre.clone()
    centring.update(torch.empty(0, 3))
    torch.testing.assert_close(centring.centre, before)


def test_the_teacher_follows_by_its_momentum() -> None:
    teacher, student = nn.Linear(1, 1), nn.Linear(1, 1)
    with torch.no_grad():
        teacher.weight.fill_(1.0)
        teacher.bias.fill_(-2.0)
        student.weight.fill_(2.0)
        student.bias.fill_(0.0)
    follow(teacher, student, 0.75)
    assert teacher.weight.item() == pytest.approx(0.75 * 1 + 0.25 * 2)
    assert teacher.bias.item() == pytest.approx(0.75 * -2)
    assert student.weight.item() == 2.0
    follow(teacher, student, 1.0)
    assert teacher.weight.item() == pytest.approx(1.25)


def test_distillation_has_a_closed_form() -> None:
    target = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    student = torch.tensor([[0.5, 0.5], [0.2, 0.8]]).log()
    expected = (math.log(2) - math.log(0.2)) / 2
    assert distillation(target, student).item() == pytest.approx(expected, rel=1e-6)


def test_a_view_is_never_compared_with_itself() -> None:
    one, two = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    students = [torch.tensor([[a, 1 - a]]).log() for a in (0.1, 0.6, 0.7)]
    # teacher 1 with students 2 and 3, teacher 2 with students 1 and 3
    expected = -(math.log(0.6) + math.log(0.7) + math.log(0.9) + math.log(0.3)) / 4
    assert view_agreement([one, two], students).item() == pytest.approx(expected, rel=1e-6)


def test_outputs_of_the_head_are_cosines() -> None:
    torch.manual_seed(0)
    head = DinoHead(6, 16, 4, 32)
    vectors = torch.randn(10, 6)
    torch.testing.assert_close(head.embed(vectors).norm(dim=1), torch.ones(10))
    assert head(vectors).shape == (10, 32)
    assert head(vectors).abs().max() <= 1 + 1e-6
    with torch.no_grad():
        before = head(vectors)
        head.last *= 7
    torch.testing.assert_close(head(vectors), before)
