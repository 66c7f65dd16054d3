import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skinr.jet_algebra import JetAlgebra

pytestmark = pytest.mark.slow

OPERATORS = [[(0, 0, 1.0), (1, 1, 0.5)], [(0, 1, 2.0)], [(1, 1, 1.0), (0, 1, -1.0)]]


def jets_of(function, coordinates):
    """Values, derivatives and what the operators give, by autograd, of shape (C, n_rows)."""
    rows = [row.clone() for row in coordinates]
    values = torch.stack([function(row) for row in rows])
    gradients = torch.stack([torch.autograd.functional.jacobian(function, row) for row in rows])
    hessians = torch.stack([torch.autograd.functional.hessian(function, row) for row in rows])
    second = [sum(a * hessians[:, i, j] for i, j, a in operator) for operator in OPERATORS]
    return torch.stack([values, *gradients.T, *second])


@given(st.integers(0, 99))
def test_products_and_sines_agree_with_autograd(seed):
    draw = torch.Generator().manual_seed(seed)
    coordinates, waves = torch.rand(2, 3, 2, generator=draw, dtype=torch.float64)

    def left(x):
        return (waves[0] @ x).sin()

    def right(x):
        return (waves[1] @ x).exp() * (x[0] + 1)

    algebra = JetAlgebra(2, OPERATORS)
    jets = jets_of(left, coordinates), jets_of(right, coordinates)
    torch.testing.assert_close(
        algebra.multiply(*jets), jets_of(lambda x: left(x) * right(x), coordinates)
    )
    sine, cosine = algebra.sine_and_cosine(jets[1])
    torch.testing.assert_close(sine, jets_of(lambda x: right(x).sin(), coordinates))
    torch.testing.assert_close(cosine, jets_of(lambda x: right(x).cos(), coordinates))
