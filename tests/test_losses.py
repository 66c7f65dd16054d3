import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skinr.losses import LOSSES


def twice_huber(residual, weight):
    """Quadratic up to twice the weighted median of the sizes in each column, held fixed."""
    weight = torch.broadcast_to(weight, residual.shape).detach()
    columns = residual.detach().abs().movedim(-2, -1).reshape(-1, residual.shape[-2])
    weights = weight.movedim(-2, -1).reshape(columns.shape)
    turns = []
    for sizes, counts in zip(columns, weights, strict=True):
        ranked = sorted(zip(sizes.tolist(), counts.tolist(), strict=True))
        total = 0.0
        for size, count in ranked:
            total += count
            if total >= float(counts.sum()) / 2 * (1 - 1e-12):
                turns.append(2 * size)
                break
    shape = (*residual.shape[:-2], 1, residual.shape[-1])
    turn = torch.tensor(turns, dtype=residual.dtype).reshape(shape).expand_as(residual)
    size = residual.abs()
    return torch.where(size <= turn, residual.square(), turn * (2 * size - turn))


REFERENCES = {
    "squared_error": lambda residual, weight: residual.square(),
    "absolute_error": lambda residual, weight: residual.abs(),
    "huber": twice_huber,
}


@pytest.mark.parametrize("name", LOSSES)
@given(
    residuals=st.lists(st.floats(-3, 3), min_size=1, max_size=30),
    repeats=st.lists(st.integers(1, 3), min_size=30, max_size=30),
)
def test_values_and_derivatives_are_those_of_the_definition(name, residuals, repeats):
    residual = torch.tensor(residuals, dtype=torch.float64)[:, None].requires_grad_()
    weight = torch.tensor(repeats[: len(residuals)], dtype=torch.float64)[:, None]
    expected = REFERENCES[name](residual, weight)
    (derivative,) = torch.autograd.grad(expected.sum(), residual)
    values, derivatives = LOSSES[name](residual.detach(), weight)
    torch.testing.assert_close(values, expected.detach())
    torch.testing.assert_close(derivatives, derivative)


def test_huber_agrees_with_torch():
    residual = torch.tensor([[0.3], [-1.0], [0.5], [9.0], [-40.0]], dtype=torch.float64)
    values, _ = LOSSES["huber"](residual, residual.new_ones(1))
    zero = torch.zeros_like(residual)
    expected = torch.nn.functional.huber_loss(residual, zero, reduction="none", delta=2.0)
    torch.testing.assert_close(values, 2 * expected)
