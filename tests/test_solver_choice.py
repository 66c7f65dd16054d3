import numpy as np
import pytest
from test_choices import positions, texture

import skinr.solver_choice
from skinr import SirenRegressor
from skinr.problem import prepare

pytestmark = pytest.mark.usefixtures("few_rows_for_relevances")


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
    monkeypatch.setattr(skinr.solver_choice, "FEWEST_UPDATES_FOR_SOAP", 3)
    X, y = (part[:n_rows] for part in surface)
    options = {"hidden_layer_sizes": 8, "max_iter": 3, "random_state": 0, "alpha": 1e-9, **options}
    fits = {
        name: SirenRegressor(**options, solver=name).fit(X, y).predict(X)
        for name in ("auto", "soap", "adam")
    }
    assert np.array_equal(fits["auto"], fits[solver])
    assert not np.array_equal(fits["soap"], fits["adam"])


def test_features_and_outputs_are_layers_to_soap(surface):
    X, y = (part[:2048] for part in surface)
    many, more = (np.tile(y[:, None], n_columns) for n_columns in (128, 129))
    solvers = [
        prepare(SirenRegressor(8, alpha=1e-9), *table, continued=False).plan.solver
        for table in [(X, many), (many, y), (X, more), (more, y)]
    ]
    assert solvers == ["soap", "soap", "adam", "adam"]


@pytest.mark.parametrize(
    ("changes", "may"),
    [
        ({}, True),
        ({"solver": "soap"}, False),
        ({"omega_0": 5.0}, False),
        ({"loss": "absolute_error"}, False),
        ({"loss": "huber"}, True),
        ({"loss": "huber", "n_estimators": 2}, False),
        ({"loss": "huber", "checkpoint": "fit"}, False),
        ({"alpha": 0.1}, False),
        ({"n_estimators": 2}, True),
        ({"max_iter": 999}, False),
        ({"hidden_layer_sizes": 256}, False),
    ],
)
def test_few_rows_come_first_where_everything_is_left_to_the_default(surface, changes, may):
    problem = prepare(SirenRegressor(**changes), *surface, continued=False)
    assert (problem.candidates is not None) == may


def test_layers_are_smaller_where_least_squares_fit_all_values(surface):
    X, y = few = tuple(part[:50] for part in surface)
    shapes = {
        name: prepare(SirenRegressor(**options), *table, continued=False).stack.architecture
        for name, table, options in [
            ("lm", few, {}),
            ("49 rows", (X[:49], y[:49]), {}),
            ("slopes", (X, y, None, np.ones_like(X)), {}),
            ("adam", few, {"solver": "adam"}),
            ("few rows first", surface, {}),
        ]
    }
    sizes = {name: shape.hidden_layer_sizes for name, shape in shapes.items()}
    wide = dict.fromkeys(["49 rows", "slopes", "adam", "few rows first"], (128,) * 4)
    assert sizes == {"lm": (96,) * 3, **wide}


@pytest.mark.parametrize("shape", [(64, 64), (8, 8, 64)])
def test_pixels_do_not_begin_with_few_rows(shape):
    X = positions(*shape)[np.random.default_rng(0).uniform(size=4096) < 0.6]
    problem = prepare(SirenRegressor(), X, texture(len(X)), continued=False)
    assert problem.candidates is None


def test_least_squares_would_take_the_detail_of_pixels_for_noise():
    X, y = positions(16, 16), texture(256)
    assert prepare(SirenRegressor(), X, y, continued=False).plan.solver == "adam"
    assert prepare(SirenRegressor(solver="lm"), X, y, continued=False).plan.solver == "lm"


@pytest.mark.parametrize("noise", [0.0, 0.25])
def test_a_function_on_a_grid_begins_with_few_rows(noise):
    X = positions(64, 64)
    y = np.sin(X[:, 0] / 9) * np.cos(X[:, 1] / 7) + noise * texture(4096)
    problem = prepare(SirenRegressor(), X, y, continued=False)
    assert problem.candidates is not None
    robust = prepare(SirenRegressor(loss="huber"), X, y, continued=False)
    assert robust.candidates is None
    assert prepare(SirenRegressor(), X[:2000], y[:2000], continued=False).plan.solver == "lm"


def test_a_constant_column_makes_no_pixels():
    t = np.random.default_rng(0).uniform(size=1000)
    column, constant = t[:, None], np.zeros((1000, 1))
    alone = prepare(SirenRegressor(), column, np.sin(9 * t), continued=False)
    beside = prepare(
        SirenRegressor(), np.hstack([column, constant]), np.sin(9 * t), continued=False
    )
    assert (alone.plan.solver, beside.plan.solver) == ("lm", "lm")
    image = positions(64, 64)
    flat = prepare(
        SirenRegressor(), np.hstack([image, image[:, :1] * 0]), texture(4096), continued=False
    )
    assert flat.candidates is None
