from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from test_jets import autograd_jets

import skinr.least_squares
from skinr import SirenRegressor
from skinr.frequency import CANDIDATES
from skinr.jet_rows import JetRows
from skinr.least_squares import LeastSquaresFit
from skinr.network import Architecture, SirenStack

FUNCTIONS = {
    "two sines": lambda X: np.sin(8 * X[:, 0]) + 0.5 * np.cos(21 * X[:, 0]),
    "pole": lambda X: 1 / (1 + 25 * X[:, 0] ** 2),
    "product": lambda X: np.sin(3 * X[:, 0]) * np.cos(2 * X[:, -1]),
}


def rows_of(name, n_rows, *, n_features=1, noise=0.0, seed=0):
    random = np.random.default_rng(seed)
    X = random.uniform(-1, 1, (n_rows, n_features))
    return X, FUNCTIONS[name](X) + noise * random.normal(size=n_rows)


def unexplained(model, name, n_features=1):
    new = np.random.default_rng(99).uniform(-0.98, 0.98, (2000, n_features))
    return 1 - model.score(new, FUNCTIONS[name](new))


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


@given(problems(), st.sampled_from([2, 5, 384]))
def test_the_matrix_of_the_rows_and_a_step_are_those_of_the_dense_jacobian(problem, block):
    stack, rows = problem
    start = stack.parameters.clone()
    with mock.patch.object(skinr.least_squares, "BLOCK", block):
        fit = LeastSquaresFit(stack, rows, anchor=start - 0.01 * stack.frequencies)
    jacobian = dense_jacobian(stack, rows)
    size = len(jacobian)
    torch.testing.assert_close(fit._gram.tril(), (jacobian @ jacobian.T / size).tril())
    fit.review()
    residual, noise, damping = fit._at.residual, fit._noise, fit._damping
    normal = jacobian.T @ jacobian / size
    normal.diagonal().add_(noise + damping)
    direction = torch.linalg.solve(normal, jacobian.T @ residual / size - noise * 0.01)
    parameters, expected_loss = fit._propose(fit._factor(noise + damping))
    torch.testing.assert_close(
        parameters - start, direction * stack.frequencies, rtol=1e-5, atol=1e-9
    )
    expected = (residual - jacobian @ direction).square().mean().item()
    assert expected_loss == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(problems(), st.sampled_from([1e-4, 1e-2, 1.0]))
def test_the_evidence_is_that_of_a_gaussian_process(problem, noise):
    stack, rows = problem
    fit = LeastSquaresFit(stack, rows)
    target = fit._at.residual
    size = target.numel()
    covariance = fit._gram / noise + torch.eye(size)
    variance = (target @ torch.linalg.solve(covariance, target)) / size
    process = torch.distributions.MultivariateNormal(
        torch.zeros(size, dtype=torch.float64), variance * covariance
    )
    per_number = process.log_prob(target).item() / size
    constant = -(1 + np.log(2 * np.pi)) / 2
    assert fit._evidence_of(noise, target) == pytest.approx(per_number - constant, rel=1e-6)


@given(problems())
def test_no_step_raises_the_objective(problem):
    fit = LeastSquaresFit(*problem)
    fit.review()
    before = fit._objective(fit._at)
    for _ in range(4):
        fit.step()
        after = fit._objective(fit._at)
        assert after <= before
        before = after


@pytest.mark.accuracy
@pytest.mark.parametrize("name", ["two sines", "pole"])
@pytest.mark.parametrize("random_state", range(3))
def test_smooth_functions_to_eight_digits(name, random_state):
    X, y = rows_of(name, 300, seed=random_state)
    model = SirenRegressor(random_state=random_state).fit(X, y)
    assert unexplained(model, name) < 1e-8


@pytest.mark.accuracy
@pytest.mark.parametrize("noise", [0.03, 0.3])
@pytest.mark.parametrize(("name", "n_features"), [("two sines", 1), ("pole", 1), ("product", 2)])
def test_noise_is_not_memorised(name, n_features, noise):
    X, y = rows_of(name, 200, n_features=n_features, noise=noise)
    model = SirenRegressor(random_state=0).fit(X, y)
    kernel = ConstantKernel() * RBF() + WhiteKernel()
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0).fit(X, y)
    assert np.std(model.predict(X) - y) > 0.7 * noise
    assert unexplained(model, name, n_features) < 2.5 * unexplained(process, name, n_features)


def test_nothing_but_noise_is_predicted_flat():
    random = np.random.default_rng(0)
    X, y = random.uniform(-1, 1, (200, 1)), random.normal(size=200)
    new = np.linspace(-0.95, 0.95, 500)[:, None]
    assert np.std(SirenRegressor(random_state=0).fit(X, y).predict(new)) < 0.4


def test_weights_of_inverse_variance_help():
    X, y = rows_of("two sines", 200)
    random = np.random.default_rng(1)
    deviation = np.where(random.uniform(size=200) < 0.5, 0.05, 1.0)
    y = y + deviation * random.normal(size=200)
    model = SirenRegressor(random_state=0)
    plain = unexplained(model.fit(X, y), "two sines")
    weighted = unexplained(model.fit(X, y, sample_weight=deviation**-2), "two sines")
    assert weighted < 0.2 * plain


def test_several_outputs_share_a_network():
    X, _ = rows_of("two sines", 100)
    y = np.column_stack([FUNCTIONS["two sines"](X), 1e6 * FUNCTIONS["pole"](X)])
    model = SirenRegressor(random_state=0).fit(X, y)
    new = np.linspace(-0.95, 0.95, 500)[:, None]
    truth = np.column_stack([FUNCTIONS["two sines"](new), 1e6 * FUNCTIONS["pole"](new)])
    assert model.score(new, truth) > 1 - 1e-4


@pytest.mark.parametrize(
    ("n_rows", "options", "expected"),
    [
        (2048, {}, "lm"),
        (2049, {}, "adam"),
        (50, {"loss": "huber"}, "adam"),
        (50, {"alpha": 0.1}, "adam"),
        (50, {"early_stopping": True}, "adam"),
    ],
)
def test_what_auto_takes(n_rows, options, expected):
    X, y = rows_of("pole", n_rows)
    options = {"hidden_layer_sizes": (8, 8), "max_iter": 3, "random_state": 0, **options}
    auto = SirenRegressor(omega_0=3.0, **options).fit(X, y)
    named = SirenRegressor(omega_0=3.0, solver=expected, **options).fit(X, y)
    np.testing.assert_array_equal(auto.predict(X), named.predict(X))


@pytest.mark.parametrize(
    "options",
    [{"loss": "huber"}, {"early_stopping": True}],
    ids=str,
)
def test_what_least_squares_cannot(options):
    X, y = rows_of("pole", 20)
    with pytest.raises(ValueError, match=r"solver='lm' works without .*; set solver='adam'"):
        SirenRegressor(solver="lm", random_state=0, **options).fit(X, y)


def test_tables_whose_matrix_would_not_fit_in_memory():
    X, y = rows_of("pole", 20_001)
    with pytest.raises(ValueError, match="without more than 20000 values and derivatives"):
        SirenRegressor(solver="lm").fit(X, y)


def test_warm_start_goes_on():
    X, y = rows_of("two sines", 100, noise=0.1)
    model = SirenRegressor((32, 32), warm_start=True, max_iter=8, random_state=0).fit(X, y)
    first = model.loss_curve_
    model.fit(X, y)
    assert model.loss_curve_[0] < 0.5 * first[0]
    assert model.omega_0_ in CANDIDATES
