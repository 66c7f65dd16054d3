from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_jets import autograd_jets

import skinr.jacobian
from skinr.jacobian import Jacobian, Observations, evaluate_network
from skinr.jet_rows import JetRows
from skinr.network import Architecture, SirenStack

pytestmark = pytest.mark.slow


@st.composite
def problems(draw):
    """A network of any shape, and rows with weights, of values alone or of derivatives as well."""
    n_features, n_outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    sizes = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    activation = draw(st.sampled_from(["identity", "sine"]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 9)))
    stack = SirenStack.initialize(
        Architecture(n_features, sizes, n_outputs, activation),
        [draw(st.sampled_from([1.0, 6.0]))],
        [3.0],
        [generator],
        dtype=torch.float64,
    )
    n_rows, order = draw(st.integers(1, 9)), draw(st.integers(0, 2))
    operators = [[(j, j, 1.0 + j) for j in range(n_features)], [(0, n_features - 1, 0.5)]]
    operators = operators if order == 2 else []
    n_components = 1 + n_features * (order > 0) + len(operators)

    def uniform(*shape):
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    targets, root_weight = uniform(2, n_components, n_rows, n_outputs)
    if draw(st.booleans()):
        root_weight *= uniform(n_components, n_rows, n_outputs) < 0.5
        root_weight[-1, 0, 0] = 1
    if draw(st.booleans()):
        root_weight = (root_weight > 0).double()
    return stack, JetRows(uniform(n_rows, n_features), targets, root_weight, operators)


def dense_jacobian(stack, rows):
    """Derivative (m, n_parameters) of the weighted predictions by the weights, by autograd."""

    def predictions(parameters):
        jets = autograd_jets(stack, parameters, rows.coordinates[None], rows.operators)[0]
        return (jets[: len(rows.targets)] * rows.root_weight)[rows.root_weight > 0]

    jacobian = torch.autograd.functional.jacobian(predictions, stack.parameters)
    return jacobian[:, 0] * stack.frequencies


def jacobian_of(stack, rows):
    observed = Observations(rows)
    return Jacobian(stack, observed, evaluate_network(stack, observed, stack.parameters))


@given(problems(), st.sampled_from([2, 5, 384]))
def test_the_matrix_of_the_rows_is_that_of_the_dense_jacobian(problem, block):
    with mock.patch.object(skinr.jacobian, "BLOCK", block):
        gram = jacobian_of(*problem).gram()
    dense = dense_jacobian(*problem)
    torch.testing.assert_close(gram.tril(), (dense @ dense.T / len(dense)).tril())


@given(problems())
def test_products_are_those_with_the_dense_jacobian(problem):
    stack, _ = problem
    jacobian, dense = jacobian_of(*problem), dense_jacobian(*problem)
    direction = torch.linspace(-1, 1, dense.shape[1], dtype=torch.float64)
    change = jacobian.times(direction[None] * stack.frequencies)
    torch.testing.assert_close(change, dense @ direction)
    coefficients = torch.linspace(-1, 1, len(dense), dtype=torch.float64)
    asked = jacobian.transpose_times(coefficients) / stack.frequencies
    torch.testing.assert_close(asked[0], dense.T @ coefficients)


@given(problems())
def test_residuals_are_of_known_targets_and_weighted(problem):
    stack, rows = problem
    residual = evaluate_network(stack, Observations(rows), stack.parameters).residual
    jets = autograd_jets(stack, stack.parameters, rows.coordinates[None], rows.operators)[0]
    errors = (rows.targets - jets[: len(rows.targets)]) * rows.root_weight
    torch.testing.assert_close(residual, errors[rows.root_weight > 0].detach())
