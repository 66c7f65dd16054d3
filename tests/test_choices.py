import numpy as np
import pytest
import torch

import skinr.choices
import skinr.picture_rows
from skinr import SirenRegressor
from skinr.problem import prepare

pytestmark = pytest.mark.usefixtures("few_rows_for_relevances")


def texture(n_pixels):
    return np.random.default_rng(1).normal(size=n_pixels)


def positions(*shape):
    axes = np.meshgrid(*map(np.arange, shape), indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, len(shape)).astype(float)


def test_scattered_rows_are_no_pixels_however_many(surface, monkeypatch):
    """A sample of 100 of 4096 has fewer nodes than four times all rows."""
    monkeypatch.setattr(skinr.picture_rows, "GRID_SAMPLE", 100)
    X, y = surface[0], texture(4096)
    options = {"hidden_layer_sizes": 8, "solver": "adam", "max_iter": 30}
    scattered = prepare(SirenRegressor(**options), X, y, continued=False)
    pixels = prepare(SirenRegressor(**options), positions(64, 64), y, continued=False)
    assert scattered.rate < pixels.rate


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


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        ({"solver": "adam", "max_iter": 100}, 4e-3),
        ({"solver": "adam", "max_iter": 300}, 2e-3),
        ({"solver": "adam", "max_iter": 300, "batch_size": 1024}, 4e-3),
        ({"solver": "adam", "max_iter": 1000}, 1e-3),
        ({"solver": "soap", "max_iter": 300}, 2e-3),
        ({"solver": "soap", "max_iter": 1000}, 1.2e-3),
        ({"solver": "adam", "max_iter": 300, "hidden_layer_sizes": (80, 8)}, 10 / 80 / 100),
        ({"solver": "adam", "max_iter": 300, "hidden_layer_sizes": (110, 8)}, 1e-3),
        ({"solver": "adam", "max_iter": 300, "hidden_layer_sizes": (150, 8)}, 12 / 150 / 100),
    ],
)
def test_pixels_that_are_seen_seldom_are_learned_faster(options, rate):
    """At most 4e-3, and 0.3 over the epochs, as far as that is stable."""
    regressor = SirenRegressor(**{"hidden_layer_sizes": 8, "omega_0": 100.0, **options})
    X = positions(64, 64)
    assert prepare(regressor, X, texture(len(X)), continued=False).rate == pytest.approx(rate)


@pytest.mark.parametrize(("size", "omega_0"), [(16, 4.0), (40, (1600 / 75) ** 0.5)])
def test_a_small_picture_has_frequencies_for_its_detail(size, omega_0):
    X = positions(size, size)
    stack = prepare(SirenRegressor(8), X, texture(len(X)), continued=False).stack
    assert stack.omega_0 == stack.hidden_omega_0 == pytest.approx([omega_0])


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({"max_iter": 20}, 1.45),
        ({"max_iter": 30}, 2**0.4),
        ({"max_iter": 60}, 1.0),
        ({"max_iter": 20, "solver": "soap"}, 1.0),
        ({"max_iter": 20, "omega_0": 7.0}, None),
    ],
)
def test_a_short_fit_to_pixels_starts_with_higher_frequencies(options, start):
    """And with larger weights, unless the one or the other is given."""
    X = positions(64, 64)

    def stack(**changes):
        regressor = SirenRegressor((64, 64), random_state=0, **{**options, **changes})
        return prepare(regressor, X, texture(len(X)), continued=False).stack

    omega_0 = (4096 / 75) ** 0.5 * start if start else 7.0
    assert stack().omega_0 == pytest.approx([omega_0])
    assert stack(weight_scale=2.0).omega_0 == pytest.approx([omega_0])
    same = stack(weight_scale=1.25 * (start or 1) ** 0.5)
    assert torch.allclose(stack().parameters, same.parameters)


@pytest.mark.parametrize(
    ("shape", "options", "scale"),
    [
        ((64, 64), {}, 1.85),
        ((63, 64), {"solver": "soap"}, 1.25),
        ((64, 64), {"max_iter": 15}, 1.25 * 1.45**0.5),
        ((64, 64), {"solver": "soap", "max_iter": 15}, 1.25),
        ((64, 64), {"solver": "lm"}, 1.25),
        ((64, 64), {"weight_scale": 2.0}, 2.0),
    ],
)
def test_pixels_that_outnumber_the_parameters_start_with_larger_weights(shape, options, scale):
    """There are 4087 parameters, and 16 updates see each of 4096 pixels 8 times."""

    def parameters(**changes):
        settings = {"max_iter": 16, "random_state": 0, **options, **changes}
        regressor = SirenRegressor((60, 63), **settings)
        return prepare(regressor, X, texture(len(X)), continued=False).stack.parameters

    X = positions(*shape)
    assert torch.allclose(parameters(), parameters(weight_scale=scale))


def test_scattered_rows_have_no_head_start(surface):
    problem = prepare(SirenRegressor(8, max_iter=6, solver="adam"), *surface, continued=False)
    assert problem.stack.omega_0 == pytest.approx([(4096 / 75) ** 0.5])
    assert problem.rate == 1e-3
