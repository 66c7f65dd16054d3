import signal

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import HuberRegressor

import skinr.few_rows
import skinr.solve
import skinr.solver_choice
from skinr import SirenRegressor

NOISE = 0.05


def waves(X):
    return np.prod(np.sin(6 * X), axis=1)


def rows_of(n_rows, n_features=1):
    random = np.random.default_rng(0)
    X = random.uniform(size=(n_rows, n_features))
    return X, waves(X) + NOISE * random.normal(size=n_rows)


def with_outliers(y, size, share=0.1):
    random = np.random.default_rng(1)
    is_wrong = random.uniform(size=len(y)) < share
    return np.where(is_wrong, y + size * random.choice([-1, 1], len(y)), y)


def error(model, n_features=1):
    new = np.random.default_rng(2).uniform(0.02, 0.98, (1000, n_features))
    return np.sqrt(np.mean((model.predict(new) - waves(new)) ** 2))


@pytest.mark.slow
@pytest.mark.parametrize(("n_rows", "n_features"), [(100, 1), (200, 2)])
def test_outliers_of_any_size_do_little_harm(n_rows, n_features):
    X, y = rows_of(n_rows, n_features)
    model = SirenRegressor((32, 32, 32), random_state=0)
    clean = error(model.fit(X, y), n_features)
    fits = [
        clone(model).set_params(loss="huber").fit(X, with_outliers(y, size)) for size in (3, 1e6)
    ]
    assert error(fits[0], n_features) < 3 * clean + 0.2 * NOISE
    np.testing.assert_allclose(fits[0].predict(X), fits[1].predict(X), atol=0.02 * NOISE)


@pytest.mark.slow
def test_outliers_on_one_side():
    X, y = rows_of(200)
    wrong = np.where(np.random.default_rng(1).uniform(size=200) < 0.15, 50.0, y)
    model = SirenRegressor((64, 64, 64), loss="huber", random_state=0)
    assert error(model.fit(X, wrong)) < NOISE


@pytest.mark.slow
def test_peaks_of_few_rows_are_no_outliers():
    X, noise = rows_of(300)[0], NOISE * np.random.default_rng(3).normal(size=300)
    peak = np.exp(-(((X[:, 0] - 0.5) / 0.04) ** 2))
    model = SirenRegressor((64, 64, 64), loss="huber", random_state=0)
    model.fit(X, with_outliers(peak + noise, 10))
    assert model.score(X, peak) > 0.95


@pytest.mark.slow
def test_straight_lines_are_those_of_huber_regressor():
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (200, 1))
    y = 2 * X[:, 0] + 0.3 * random.normal(size=200)
    y += np.where(random.uniform(size=200) < 0.15, 4.0, 0.0)
    line = HuberRegressor(epsilon=1.35, alpha=0).fit(X, y)
    robust, squared = (
        SirenRegressor((64, 64, 64), loss=loss, random_state=0).fit(X, y)
        for loss in ("huber", "squared_error")
    )
    inside = X[np.abs(X[:, 0]) < 0.8]
    distances = [
        np.abs(model.predict(inside) - line.predict(inside)).mean() for model in (robust, squared)
    ]
    assert distances[0] < 0.05
    assert distances[1] > 0.3


@pytest.mark.slow
def test_a_table_that_begins_with_few_rows_has_no_less_of_it(monkeypatch):
    monkeypatch.setattr(skinr.few_rows, "SECOND_NUMBERS", 300)
    monkeypatch.setattr(skinr.solver_choice, "FEWEST_UPDATES_FOR_SOAP", 300)
    X, y = rows_of(2100, 2)
    model = SirenRegressor((32, 32), loss="huber", max_iter=300, random_state=0)
    assert error(model.fit(X, with_outliers(y, 20)), 2) < 0.5 * NOISE


@pytest.mark.slow
def test_weights_units_and_several_outputs():
    X, y = rows_of(100)
    Y = np.column_stack([with_outliers(y, 30), 1e5 * with_outliers(y[::-1], 7)])
    model = SirenRegressor((32, 32), loss="huber", random_state=0)
    expected = model.fit(X, Y).predict(X)
    scaled = model.fit(1e3 * X - 5, 1e-3 * Y).predict(1e3 * X - 5)
    np.testing.assert_allclose(1e3 * scaled, expected, atol=1e-3 * expected.std(axis=0).min())
    counts = np.random.default_rng(4).integers(0, 3, len(X))
    weighted = model.fit(X, Y, sample_weight=counts).predict(X)
    repeated = model.fit(X.repeat(counts, axis=0), Y.repeat(counts, axis=0)).predict(X)
    np.testing.assert_array_equal(weighted, repeated)


@pytest.mark.parametrize("y", [np.zeros(9), np.full(9, 7.0), np.arange(9) == 4], ids=str)
def test_constants_stay_what_they_are(y):
    X = np.arange(9.0)[:, None]
    model = SirenRegressor((8, 8), loss="huber", random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict(X), np.median(y), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictions_are_of_the_dtype_of_the_values(dtype):
    X, y = rows_of(20)
    model = SirenRegressor((8, 8), loss="huber", max_iter=9, random_state=0).fit(X, y.astype(dtype))
    assert model.predict(X).dtype == dtype


def test_least_squares_of_a_table_that_they_would_not_be_chosen_for(monkeypatch):
    monkeypatch.setattr(skinr.solver_choice, "MOST_NUMBERS_FOR_LM", 10)
    X, y = rows_of(60, 2)
    model = SirenRegressor((16, 16), loss="huber", solver="lm", random_state=0)
    assert model.fit(X, with_outliers(y, 10)).score(X, y) > 0.9


@pytest.mark.parametrize("n_rows", [1, 2, 3])
def test_fewer_rows_than_neighbours(n_rows):
    X, y = rows_of(n_rows)
    model = SirenRegressor((8, 8), loss="huber", random_state=0).fit(X, y)
    assert np.isfinite(model.predict(X)).all()


def test_an_interrupted_round_leaves_what_the_one_before_has_found(monkeypatch):
    X, y = rows_of(50)
    model = SirenRegressor((16, 16), loss="huber", random_state=0)
    with monkeypatch.context() as patch:
        patch.setattr(skinr.solve, "MOST_ROUNDS", 1)
        expected, losses = model.fit(X, y).predict(X), model.loss_curve_

    def interrupt(*results):
        signal.raise_signal(signal.SIGINT)
        return False

    monkeypatch.setattr(skinr.solve, "has_settled", interrupt)
    with pytest.warns(ConvergenceWarning, match="Ctrl-C"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict(X), expected)
    np.testing.assert_array_equal(model.loss_curve_, losses)


@pytest.mark.slow
def test_outliers_hide_no_oscillation_from_the_choice_of_the_solver(monkeypatch):
    monkeypatch.setattr(skinr.solver_choice, "FEW_ROWS", 40)
    random = np.random.default_rng(0)
    X = random.uniform(size=(400, 1))
    y = np.sin(60 * np.pi * X[:, 0])
    wrong = with_outliers(y, 10, share=0.05)
    model = SirenRegressor(loss="huber", random_state=0)
    assert model.fit(X, wrong).score(X, y) > 0.9
