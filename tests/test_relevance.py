import numpy as np
import pytest
import torch

from skinr import SirenRegressor
from skinr.relevance import LEAST, relevances
from skinr.rows import Table


def rows_of(n_rows, n_features, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n_rows, n_features))


def found(X, y, weight=None):
    return relevances(Table(X, np.asarray(y).reshape(len(X), -1), weight))


def ridge(X):
    return np.sin(20 * X[:, 0]) * np.cos(X[:, 1])


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
def test_slow_features_are_told_from_fast_ones(noise):
    X = rows_of(200, 2)
    y = ridge(X) + noise * rows_of(200, 1, seed=1)[:, 0]
    fast, slow = found(X, y)
    assert fast == 1
    assert LEAST <= slow <= 0.25
    np.testing.assert_array_equal(found(X[:, ::-1], y), [slow, fast])


def test_features_without_influence_have_little():
    X = rows_of(100, 5)
    result = found(X, np.sin(5 * X[:, 2]))
    assert result[2] == 1
    assert (result[[0, 1, 3, 4]] <= 0.1).all()


@pytest.mark.parametrize(
    "values",
    [
        lambda X: np.sin(8 * np.hypot(*X.T)),
        lambda X: X @ [1, 2],
        lambda X: np.random.default_rng(1).standard_normal(len(X)),
        lambda X: np.zeros(len(X)),
        lambda X: np.full(len(X), 7.0),
    ],
    ids=["rings", "plane", "noise", "zeros", "constant"],
)
@pytest.mark.parametrize("n_rows", [1, 2, 30, 200])
def test_where_nothing_else_is_plain_they_are_alike(values, n_rows):
    X = rows_of(n_rows, 2)
    np.testing.assert_array_equal(found(X, values(X)), 1)


def test_constant_features_and_a_single_one_are_left_alone():
    X = rows_of(100, 2)
    np.testing.assert_array_equal(found(np.c_[X[:, 0], np.ones(100)], ridge(X)), 1)
    np.testing.assert_array_equal(found(np.c_[X, np.ones(100)], ridge(X))[[0, 2]], 1)
    assert found(np.c_[X, np.ones(100)], ridge(X))[1] < 1


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_units_do_not_matter(unit):
    X = rows_of(100, 3)
    expected = found(X, ridge(X))
    scaled = found(X * [unit, 1, 1 / unit] + [0, 1e3, 0], unit * ridge(X) - unit)
    np.testing.assert_array_equal(scaled, expected)


def test_every_output_counts():
    X = rows_of(300, 2)
    wave = np.sin(8 * X)
    assert found(X, wave[:, 0])[1] < 1
    np.testing.assert_array_equal(found(X, wave * [1, 1e6]), 1)
    with_constant = np.column_stack([np.zeros(300), wave[:, 0]])
    np.testing.assert_array_equal(found(X, with_constant), found(X, wave[:, 0]))


def test_rows_that_hardly_count_do_not_matter():
    X = rows_of(300, 2)
    weight = np.where(np.arange(300) % 2, 1.999, 1e-3)
    y = np.where(weight > 1, ridge(X), 10 * rows_of(300, 1, seed=1)[:, 0])
    assert found(X, y, weight)[1] <= 0.25


@pytest.mark.slow
@pytest.mark.parametrize("n_rows", [200, 2500])
def test_functions_of_features_that_are_not_alike_are_learned(monkeypatch, n_rows):
    monkeypatch.setattr("skinr.few_rows.SECOND_NUMBERS", 300)
    X, new = rows_of(n_rows, 2) * [1, 1e3], rows_of(1000, 2, seed=1) * [1, 1e3]
    y, truth = (np.sin(20 * part[:, 0]) + 1e-3 * part[:, 1] for part in (X, new))
    model = SirenRegressor((32, 32), random_state=0).fit(X, y)
    assert model.score(new, truth) > 0.99
    coordinates = torch.from_numpy(2 * (new - X.min(axis=0)) / np.ptp(X, axis=0) - 1).float()
    with torch.no_grad():
        values = y.mean() + y.std() * model.network_(coordinates)[:, 0].numpy()
    np.testing.assert_allclose(values, model.predict(new), atol=1e-4)
    slopes = np.column_stack([20 * np.cos(20 * new[:, 0]), np.full(1000, 1e-3)])
    assert model.score(new, gradient=slopes) > 0.98


def test_a_frequency_that_is_asked_for_takes_features_as_alike():
    X = rows_of(100, 2)
    model = SirenRegressor((8, 8), omega_0=5.0, max_iter=3, random_state=0).fit(X, ridge(X))
    np.testing.assert_allclose(model._units.X.scale, np.ptp(X, axis=0) / 2)
