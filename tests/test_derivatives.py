import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from skinr import SirenRegressor

TOLERANCES = {np.float32: 1e-5, np.float64: 1e-10}


@st.composite
def problems(draw):
    """A slightly trained model in some units, and positions between its rows."""
    n_features, n_outputs = draw(st.integers(1, 3)), draw(st.integers(0, 3))
    random = np.random.default_rng(draw(st.integers(0, 9)))
    X_factor, y_factor = 10.0 ** draw(st.integers(-6, 6)), 10.0 ** draw(st.integers(-6, 6))
    X = X_factor * (random.uniform(-1, 1, (20, n_features)) + draw(st.sampled_from([0, 10])))
    y = y_factor * (random.normal(size=(20, n_outputs) if n_outputs else 20) + 3)
    model = SirenRegressor(
        [draw(st.sampled_from([8, 16, 64]))] * draw(st.integers(1, 4)),
        omega_0=draw(st.sampled_from([1.0, 5.0, 30.0])),
        hidden_omega_0=draw(st.sampled_from([None, 10.0])),
        output_activation=draw(st.sampled_from(["identity", "sine"])),
        solver="adam",
        max_iter=3,
        random_state=0,
    ).fit(X, y)
    return model, X, y, X[:7] + 0.01 * X_factor * random.uniform(-1, 1, (7, n_features))


def reference(model, X, y, positions):
    """The prediction, as a float64 computation of numpy from what users can see."""
    low, high = X.min(axis=0), X.max(axis=0)
    activation = 2 * (positions - low) / (high - low) - 1
    network = model.network_
    last = len(network.linears) - 1
    for index, linear in enumerate(network.linears):
        weight, bias = (part.double().numpy(force=True) for part in (linear.weight, linear.bias))
        activation = activation @ weight.T + bias
        if index < last or network.architecture.output_activation == "sine":
            activation = np.sin((network.hidden_omega_0 if index else network.omega_0) * activation)
    y = y.reshape(len(y), -1)
    return y.mean(axis=0) + y.std(axis=0) * activation


def complex_step_gradient(model, X, y, positions):
    """The derivative by each feature, exact but for rounding: no difference is taken."""
    steps = np.ptp(X, axis=0) * 1e-30 * np.eye(X.shape[1])
    parts = [reference(model, X, y, positions + 1j * step).imag / step.sum() for step in steps]
    return np.stack(parts, axis=-1)


def difference_quotients(function, positions, steps):
    """Central differences of eighth order by each feature, along a new last axis."""
    factors = np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280])
    parts = []
    for step in np.diag(steps):
        moved = [
            function(positions + k * step) - function(positions - k * step) for k in range(1, 5)
        ]
        parts.append(np.tensordot(factors, moved, axes=1) / step.sum())
    return np.stack(parts, axis=-1)


def relative_error(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("dtype", TOLERANCES)
@given(problem=problems())
def test_gradient_agrees_with_the_complex_step(dtype, problem):
    model, X, y, positions = problem
    expected = complex_step_gradient(model, X, y, positions)
    actual = model.gradient(positions, dtype=dtype)
    assert actual.dtype == dtype
    assert actual.shape == (7, *y.shape[1:], X.shape[1])
    assert relative_error(actual.reshape(expected.shape), expected) < TOLERANCES[dtype]


@pytest.mark.parametrize("dtype", TOLERANCES)
@given(problem=problems())
def test_second_derivatives_agree_with_differences_of_the_gradient(dtype, problem):
    model, X, y, positions = problem
    steps = 0.002 / model.omega_0_ * np.ptp(X, axis=0)
    expected = difference_quotients(
        lambda at: complex_step_gradient(model, X, y, at), positions, steps
    )
    hessian = model.hessian(positions, dtype=dtype)
    assert hessian.shape == (7, *y.shape[1:], X.shape[1], X.shape[1])
    np.testing.assert_array_equal(hessian, np.swapaxes(hessian, -1, -2))
    assert relative_error(hessian.reshape(expected.shape), expected) < TOLERANCES[dtype]
    laplacian = model.laplacian(positions, dtype=dtype)
    assert laplacian.shape == (7, *y.shape[1:])
    traces = np.trace(expected, axis1=-2, axis2=-1)
    error = np.linalg.norm(laplacian.reshape(traces.shape) - traces)
    assert error < TOLERANCES[dtype] * np.linalg.norm(expected)


@given(problem=problems())
def test_the_gradient_agrees_with_autograd(problem):
    model, X, y, positions = problem
    network = copy.deepcopy(model.network_).cpu().double()
    low, high = X.min(axis=0), X.max(axis=0)
    normalized = torch.tensor(2 * (positions - low) / (high - low) - 1, requires_grad=True)
    outputs = network(normalized)
    parts = [
        torch.autograd.grad(column.sum(), normalized, retain_graph=True)[0] for column in outputs.T
    ]
    scale = y.reshape(len(y), -1).std(axis=0)[:, None] * 2 / (high - low)
    expected = np.stack(parts, axis=1) * scale
    actual = model.gradient(positions, dtype=np.float64).reshape(expected.shape)
    assert relative_error(actual, expected) < 1e-10


@given(problem=problems())
def test_values_and_gradient_in_one_call_are_those_of_two(problem):
    model, _, _, positions = problem
    values, gradient = model.predict(positions, return_gradient=True)
    expected = model.predict(positions)
    assert values.shape == expected.shape
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_array_equal(gradient, model.gradient(positions))


def fitted(X, y, **parameters):
    defaults = {"hidden_layer_sizes": (16, 16), "omega_0": 3.0, "max_iter": 5, "random_state": 0}
    return SirenRegressor(**{**defaults, **parameters}).fit(X, y)


@pytest.mark.parametrize("n_features", [2, 3])
def test_the_divergence_is_the_trace_of_the_gradient(n_features):
    random = np.random.default_rng(0)
    X = random.normal(size=(30, n_features)) * [1, 100, 1e-3][:n_features]
    model = fitted(X, random.normal(size=(30, n_features)))
    gradient = model.gradient(X)
    expected = sum(gradient[:, i, i] for i in range(n_features))
    np.testing.assert_allclose(model.divergence(X), expected, rtol=1e-6)


def test_a_divergence_needs_a_vector_field(chirp):
    with pytest.raises(ValueError, match="3 outputs and 1 features"):
        fitted(chirp[0], np.stack([chirp[1]] * 3, axis=1)).divergence(chirp[0])


def test_derivatives_along_a_constant_column_are_zero(chirp):
    X, y = chirp
    model = fitted(np.hstack([X, np.full_like(X, 7.0)]), y)
    at = np.hstack([X, np.full_like(X, 8.0)])
    assert not model.gradient(at)[:, 1].any()
    assert not model.hessian(at)[:, 1].any()
    np.testing.assert_allclose(model.laplacian(at), model.hessian(at)[:, 0, 0], rtol=1e-6)


@pytest.mark.parametrize("name", ["gradient", "hessian", "laplacian"])
def test_chunks_do_not_show(name):
    X = np.random.default_rng(0).uniform(-1, 1, (5000, 2))
    model = fitted(X[:50], X[:50] @ [1, 2])
    whole = getattr(model, name)(X)
    parts = [getattr(model, name)(part) for part in np.array_split(X, 7)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6 * np.abs(whole).max())


@pytest.mark.parametrize("y_dtype", [np.float32, np.float64])
def test_derivatives_have_the_dtype_of_predictions(chirp, y_dtype):
    X, y = chirp
    model = fitted(X, y.astype(y_dtype))
    expected = model.predict(X).dtype
    assert {model.gradient(X).dtype, model.hessian(X).dtype, model.laplacian(X).dtype} == {expected}


@pytest.mark.parametrize("name", ["gradient", "hessian", "laplacian", "divergence"])
def test_bad_input(chirp, name):
    X, y = chirp
    with pytest.raises(NotFittedError):
        getattr(SirenRegressor(), name)(X)
    derive = getattr(fitted(X, y[:, None]), name)
    with pytest.raises(ValueError, match="2 features"):
        derive(np.hstack([X, X]))
    with pytest.raises(ValueError, match="NaN"):
        derive(np.full_like(X, np.nan))
    with pytest.raises(ValueError, match="float32 or float64"):
        derive(X, dtype=np.float16)
    with pytest.raises(ValueError, match="dtype must be None, float32 or float64; 'nonsense'"):
        derive(X, dtype="nonsense")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (lambda x: np.sin(6 * x), lambda x: 6 * np.cos(6 * x)),
        (lambda x: x**3 - x, lambda x: 3 * x**2 - 1),
    ],
)
def test_slopes_of_a_fitted_table_are_those_of_the_function(function, slope):
    X = np.linspace(-1, 1, 200)[:, None]
    model = SirenRegressor(random_state=0).fit(X, function(X[:, 0]))
    at = np.linspace(-0.9, 0.9, 1001)[:, None]
    values, gradient = model.predict(at, return_gradient=True)
    assert relative_error(values, function(at[:, 0])) < 1e-3
    assert relative_error(gradient, slope(at)) < 1e-2
