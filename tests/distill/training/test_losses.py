"""Losses, masses and the optimiser against hand-worked values and torch's own."""

from __future__ import annotations

import math

import pytest
import torch

from clir_bench.distill.distillation import idf
from clir_bench.distill.model.students import Encoded
from clir_bench.distill.recipe import LossSettings
from clir_bench.distill.training.losses import (
    AdversarialLoss,
    ContrastiveLoss,
    GreedyLoss,
    LateLoss,
    SentenceLoss,
    TransportLoss,
    lookup_maxsim,
    mean_maxsim,
)
from clir_bench.distill.training.optimiser import RowAdam

AXES = torch.eye(3)


def side(*texts: list[int], sentences: torch.Tensor | None = None) -> Encoded:
    """Return texts of unit axes, padded with rubbish that carries no mass."""
    width = max(len(text) for text in texts)
    mask = torch.tensor([[place < len(text) for place in range(width)] for text in texts])
    ids = torch.tensor([text + [0] * (width - len(text)) for text in texts])
    tokens = AXES[ids].clone()
    tokens[~mask] = 0.577
    pooled = torch.stack([AXES[text].mean(0) for text in texts])
    return Encoded(tokens, mask, ids, pooled if sentences is None else sentences, mask.float())


def test_transport_of_equal_tokens_in_another_order_costs_nothing() -> None:
    loss = TransportLoss(LossSettings(epsilon=0.02, iterations=200, tolerance=0))
    assert float(loss(side([0, 1, 2]), side([2, 0, 1]), None)) == pytest.approx(0, abs=1e-4)


def test_transport_pays_for_mass_that_finds_no_equal() -> None:
    # two student tokens on axis 0, the teacher has one there: half of the mass goes at cost 1
    loss = TransportLoss(LossSettings(epsilon=0.02, iterations=200, tolerance=0))
    assert float(loss(side([0, 0]), side([0, 1]), None)) == pytest.approx(0.5, abs=1e-3)


def test_greedy_alignment_pays_nothing_for_the_same_pair() -> None:
    assert float(GreedyLoss()(side([0, 0]), side([0, 1]), None)) == pytest.approx(0, abs=1e-6)


def test_weighted_mass_makes_a_rare_token_count_more() -> None:
    # of the student's tokens 0 and 1 the teacher has 0 alone: what moves at cost 1 is 1's mass
    table = torch.tensor([1.0, 3.0, 1.0])
    loss = TransportLoss(LossSettings(iterations=100), table, table)
    assert float(loss(side([0, 1]), side([0]), None)) == pytest.approx(0.75, abs=1e-3)


def test_padding_changes_no_loss() -> None:
    settings = LossSettings(epsilon=0.05, iterations=100)
    for loss in (TransportLoss(settings), GreedyLoss(), LateLoss(0.05, 8)):
        alone = [loss(side([0, 1]), side([1, 2]), None), loss(side([0]), side([2]), None)]
        both = loss(side([0, 1], [0]), side([1, 2], [2]), None)
        if not isinstance(loss, LateLoss):
            assert float(both) == pytest.approx(float(sum(alone)) / 2, abs=1e-4)
        assert torch.isfinite(both)


def test_texts_without_tokens_cost_nothing_and_break_nothing() -> None:
    empty = side([0], [1])
    empty.mask[0] = False
    assert float(TransportLoss(LossSettings())(empty, side([0], [1]), None)) == pytest.approx(0)
    empty.mask[1] = False
    assert float(GreedyLoss()(empty, side([0], [1]), None)) == 0


def test_gradient_of_transport_moves_a_token_towards_its_translation() -> None:
    student = side([0])
    tokens = student.tokens.requires_grad_()
    TransportLoss(LossSettings())(student._replace(tokens=tokens), side([1]), None).backward()
    torch.testing.assert_close(tokens.grad, -AXES[1].view(1, 1, 3))


def test_sentence_losses_are_the_written_formulas() -> None:
    left = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    right = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    student, teacher = side([0], [1], sentences=left), side([0], [1], sentences=right)
    assert float(SentenceLoss("mse")(student, teacher, None)) == pytest.approx((2 + 1) / 2)
    assert float(SentenceLoss("cosine")(student, teacher, None)) == pytest.approx((1 + 0) / 2)


def test_contrast_leaves_out_other_rows_of_the_same_english() -> None:
    student, teacher = side([0], [0]), side([0], [0])
    loss = ContrastiveLoss(1.0)
    assert float(loss(student, teacher, None)) == pytest.approx(math.log(2))
    assert float(loss(student, teacher, torch.tensor([7, 7]))) == pytest.approx(0)


def test_late_contrast_is_the_cross_entropy_of_mean_maxsim() -> None:
    # MaxSim of text 0 with the documents is 1 and 1/2, of text 1 it is 0 and 1
    student, teacher = side([0, 1], [2]), side([0, 1], [1, 2])
    expected = (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(-1))) / 2
    assert float(LateLoss(1.0, 8)(student, teacher, None)) == pytest.approx(expected)


def test_late_contrast_can_look_among_the_students_own_english() -> None:
    # foreign texts 0 and 1 translate the English rows 3 and 2, whose labels are 9 and 4
    student = side([0, 1], [2], [1, 2], [0, 1])
    labels = torch.tensor([9, 4, 4, 9])
    # MaxSim of [0, 1] with [0, 1] and [1, 2] is 1 and 1/2, of [2] it is 0 and 1
    expected = (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(-1))) / 2
    loss = LateLoss(1.0, 8, own=True)
    assert float(loss(student, side([0], [0], [0], [0]), labels)) == pytest.approx(expected)
    with pytest.raises(ValueError, match="without labels"):
        loss(student, student, None)


def test_looked_up_maxsim_and_its_gradient_are_those_of_all_products() -> None:
    torch.manual_seed(0)
    table = torch.nn.functional.normalize(torch.randn(9, 5), dim=-1)

    def texts(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        mask = torch.arange(6) < torch.randint(1, 7, (n, 1))
        return torch.randint(0, 9, (n, 6)), mask, torch.rand(n, 6) * mask

    gradients, values = [], []
    sides = texts(7), texts(4)
    for similarity in (mean_maxsim, lookup_maxsim):
        leaf = table.clone().requires_grad_()
        queries, documents = (
            Encoded(leaf[ids], mask, ids, torch.empty(0), weights) for ids, mask, weights in sides
        )
        scores = similarity(queries, documents)
        (scores * torch.arange(28).view(7, 4)).sum().backward()
        values.append(scores.detach())
        gradients.append(leaf.grad)
    torch.testing.assert_close(values[1], values[0])
    torch.testing.assert_close(gradients[1], gradients[0])


def test_late_contrast_weights_a_querys_tokens() -> None:
    student, teacher = side([0, 1], [2]), side([0, 1], [1, 2])
    weighted = student._replace(weights=torch.tensor([[3.0, 1.0], [1.0, 0.0]]))
    # MaxSim of text 0 with the documents is now 1 and 1/4
    expected = (math.log1p(math.exp(-0.75)) + math.log1p(math.exp(-1))) / 2
    assert float(LateLoss(1.0, 8)(weighted, teacher, None)) == pytest.approx(expected)


def test_the_adversary_learns_what_the_student_unlearns() -> None:
    torch.manual_seed(0)
    loss = AdversarialLoss(3, 4)
    student = side([0, 1])
    tokens = student.tokens.requires_grad_()
    value = loss(student._replace(tokens=tokens), side([2, 1]), None)
    value.backward()
    assert tokens.grad is not None
    with torch.no_grad():  # along its gradient the student makes the discriminator's loss grow
        moved = student._replace(tokens=tokens - 0.1 * tokens.grad / tokens.grad.norm())
        assert loss(moved, side([2, 1]), None) > value


def test_idf_is_one_for_the_unseen_and_least_for_what_is_everywhere() -> None:
    values = idf([[0, 1, 1], [0, 2], [0]], 4)
    expected = [0.01, math.log(4 / 2) / math.log(4), math.log(4 / 2) / math.log(4), 1.0]
    torch.testing.assert_close(values, torch.tensor(expected))


@pytest.mark.parametrize("sparse", [False, True])
def test_rows_are_updated_as_by_torch_and_the_others_not_at_all(sparse: bool) -> None:
    torch.manual_seed(0)
    start = torch.randn(6, 4)
    ours = torch.nn.Embedding(6, 4, sparse=sparse, _weight=start.clone())
    theirs = torch.nn.Embedding(6, 4, sparse=True, _weight=start.clone())
    mine, reference = (
        RowAdam(ours.weight, 0.1, []),
        torch.optim.SparseAdam(theirs.parameters(), 0.1),
    )
    for number, rows in enumerate([[1, 2, 2], [2, 4], [1, 1]], start=1):
        for table in (ours, theirs):
            table.weight.grad = None
            table(torch.tensor(rows)).square().sum().backward()
        mine.step(number, 1.0, 1.0)
        reference.step()
    untouched = [0, 3, 5]
    torch.testing.assert_close(ours.weight[untouched], start[untouched], rtol=0, atol=0)
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_frozen_rows_stay() -> None:
    table = torch.nn.Embedding(3, 2)
    start = table.weight.detach().clone()
    table(torch.tensor([0, 1])).sum().backward()
    RowAdam(table.weight, 0.1, [0]).step(1, 1.0, 1.0)
    torch.testing.assert_close(table.weight[0], start[0])
    assert not torch.allclose(table.weight[1], start[1])
