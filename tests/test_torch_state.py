"""What a program has set in torch for itself makes no difference to a fit."""

import numpy as np
import pytest
import torch

from skinr import SirenRegressor

pytestmark = pytest.mark.slow

CASES = {
    "lm": {"max_iter": 5},
    "lm, ensemble": {"max_iter": 5, "n_estimators": 3},
    "adam": {"solver": "adam", "max_iter": 5},
    "adam, ensemble": {"solver": "adam", "max_iter": 5, "n_estimators": 3},
    "soap": {"solver": "soap", "max_iter": 5, "batch_size": 16},
}


@pytest.fixture
def default_dtype():
    yield torch.set_default_dtype
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def default_device():
    yield torch.set_default_device
    torch.set_default_device(None)


@pytest.fixture
def deterministic():
    yield torch.use_deterministic_algorithms
    torch.use_deterministic_algorithms(False)


def results(tmp_path, options):
    """Return what a fit comes to, saved and loaded, and a fit to derivatives."""
    X = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    y = np.sin(3 * X[:, 0]) + X[:, 1]
    model = SirenRegressor((8, 8), random_state=0, device="cpu", **options).fit(X, y)
    model.save(tmp_path / "model.skinr")
    loaded = SirenRegressor.load(tmp_path / "model.skinr")
    found = [model.predict(X), model.laplacian(X), loaded.predict(X)]
    if model.n_estimators > 1:
        found.append(model.predict(X, return_std=True)[1])
    else:
        slopes = np.stack([3 * np.cos(3 * X[:, 0]), np.ones(60)], axis=1)
        found.append(model.fit(X, y, gradient=slopes).predict(X))
        found.append(model.fit(X, laplacian=-9 * np.sin(3 * X[:, 0])).predict(X))
        assert {parameter.dtype for parameter in model.network_.parameters()} == {torch.float32}
    return found


@pytest.mark.parametrize("case", CASES)
def test_the_default_dtype_makes_no_difference(case, tmp_path, default_dtype):
    expected = results(tmp_path, CASES[case])
    default_dtype(torch.float64)
    for one, other in zip(expected, results(tmp_path, CASES[case]), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("case", CASES)
def test_the_default_device_makes_no_difference(case, tmp_path, default_device):
    expected = results(tmp_path, CASES[case])
    default_device("meta")
    for one, other in zip(expected, results(tmp_path, CASES[case]), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("case", CASES)
def test_deterministic_algorithms_are_no_obstacle(case, tmp_path, deterministic):
    expected = results(tmp_path, CASES[case])
    deterministic(True)
    for one, other in zip(expected, results(tmp_path, CASES[case]), strict=True):
        np.testing.assert_array_equal(one, other)
