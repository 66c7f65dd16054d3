import numpy as np
import pytest

import skinr.choices
from skinr import SirenRegressor
from skinr.problem import prepare


@pytest.fixture(scope="module")
def surface():
    X = np.random.default_rng(0).uniform(-1, 1, (4096, 2))
    return X, np.sin(3 * X[:, 0]) * np.cos(2 * X[:, 1])


@pytest.mark.parametrize(
    ("n_rows", "options", "solver"),
    [
        (2048, {}, "soap"),
        (2047, {}, "adam"),
        (2048, {"hidden_layer_sizes": (8, 128)}, "soap"),
        (2048, {"hidden_layer_sizes": (8, 129)}, "adam"),
        (4096, {"batch_size": 128}, "soap"),
        (4096, {"batch_size": 127}, "adam"),
        (2048, {"max_iter": 2}, "adam"),
    ],
)
def test_auto_is_soap_where_it_gets_further(surface, monkeypatch, n_rows, options, solver):
    monkeypatch.setattr(skinr.choices, "FEWEST_UPDATES_FOR_SOAP", 3)
    X, y = (part[:n_rows] for part in surface)
    options = {"hidden_layer_sizes": 8, "max_iter": 3, "random_state": 0, "alpha": 1e-9, **options}
    fits = {
        name: SirenRegressor(**options, solver=name).fit(X, y).predict(X)
        for name in ("auto", "soap", "adam")
    }
    assert np.array_equal(fits["auto"], fits[solver])
    assert not np.array_equal(fits["soap"], fits["adam"])


@pytest.mark.parametrize(
    ("changes", "may"),
    [
        ({}, True),
        ({"solver": "soap"}, False),
        ({"omega_0": 5.0}, False),
        ({"loss": "huber"}, False),
        ({"alpha": 0.1}, False),
        ({"n_estimators": 2}, False),
        ({"max_iter": 999}, False),
        ({"hidden_layer_sizes": 256}, False),
    ],
)
def test_few_rows_come_first_where_everything_is_left_to_the_default(surface, changes, may):
    problem = prepare(SirenRegressor(**changes), *surface, continued=False)
    assert (problem.candidates is not None) == may


@pytest.mark.parametrize("shape", [(64, 64), (8, 8, 64)])
def test_pixels_do_not_begin_with_few_rows(shape):
    X = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    X = X.reshape(-1, len(shape))[np.random.default_rng(0).uniform(size=4096) < 0.6]
    problem = prepare(SirenRegressor(), X, X[:, 0] % 7, continued=False)
    assert problem.candidates is None


@pytest.mark.parametrize(("n_rows", "batch_size"), [(3000, 2048), (3001, 4096)])
def test_tables_of_many_rows_take_larger_batches(surface, monkeypatch, n_rows, batch_size):
    monkeypatch.setattr(skinr.choices, "MANY_ROWS", 3000)
    X, y = (part[:n_rows] for part in surface)
    options = {"hidden_layer_sizes": 8, "max_iter": 3, "random_state": 0}
    auto = SirenRegressor(**options).fit(X, y)
    asked = SirenRegressor(**options, batch_size=batch_size).fit(X, y)
    assert np.array_equal(auto.predict(X), asked.predict(X))


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        ({"solver": "adam"}, 1e-3),
        ({"solver": "adam", "max_iter": 16000}, 1e-3),
        ({"solver": "soap"}, 1.2e-3),
        ({"solver": "soap", "max_iter": 16000}, 0.6e-3),
        ({"solver": "adam", "hidden_layer_sizes": (50, 50), "hidden_omega_0": 480.0}, 5e-4),
        ({"solver": "soap", "hidden_layer_sizes": (50, 50), "hidden_omega_0": 640.0}, 5e-4),
        ({"solver": "soap", "learning_rate_init": 7.0}, 7.0),
    ],
)
def test_the_learning_rate_suits_solver_network_and_length(surface, options, rate):
    regressor = SirenRegressor(**{"hidden_layer_sizes": 8, **options})
    assert prepare(regressor, *surface, continued=False).rate == pytest.approx(rate)
