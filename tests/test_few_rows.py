import signal
from unittest import mock

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

import skinr.few_rows
import skinr.relevance
import skinr.solver_choice
import skinr.training
from skinr import SirenRegressor
from skinr.few_rows import leftover
from skinr.jet_rows import JetRows
from skinr.network import Architecture, SirenStack

pytestmark = pytest.mark.slow

OPTIONS = {"hidden_layer_sizes": (32, 32), "random_state": 0}
FEW = 400


@pytest.fixture(autouse=True)
def _few_numbers(monkeypatch):
    """Fewer than it takes by default, for the sake of time."""
    monkeypatch.setattr(skinr.few_rows, "SECOND_NUMBERS", FEW)
    monkeypatch.setattr(skinr.relevance, "MOST_ROWS", 100)


@pytest.fixture
def few_updates(monkeypatch):
    """Options of fits that begin so although they are short."""
    monkeypatch.setattr(skinr.solver_choice, "FEWEST_UPDATES_FOR_SOAP", 100)
    return {**OPTIONS, "max_iter": 100}


def smooth(X):
    return np.sin(3 * X[:, 0]) * np.cos(2 * X[:, 1])


def fine(X):
    return np.sin(60 * X[:, 0]) * np.cos(50 * X[:, 1])


def table(function, noise=0.0, n_rows=3000):
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (n_rows, 2))
    return X, function(X) + noise * random.normal(size=n_rows)


def unexplained(model):
    new = np.random.default_rng(1).uniform(-0.98, 0.98, (2000, 2))
    return 1 - model.score(new, smooth(new))


ZERO = SirenStack.initialize(
    Architecture(2, (4,), 1), [1.0], [1.0], [torch.Generator()], dtype=torch.float64
)
ZERO.parameters.zero_()


def rows_of(positions, values):
    targets = torch.from_numpy(values)[None, :, None]
    return JetRows(torch.from_numpy(positions), targets, torch.ones_like(targets))


def test_noise_is_not_memorised():
    X, y = table(smooth, noise=0.3)
    begun = SirenRegressor(**OPTIONS).fit(X, y)
    anew = SirenRegressor(**OPTIONS, solver="soap").fit(X, y)
    assert begun.omega_0_ < anew.omega_0_
    assert unexplained(begun) < 0.35 * unexplained(anew)


def test_noise_larger_than_the_function_is_not_memorised_later():
    X, y = table(smooth, noise=1.5)
    options = {**OPTIONS, "hidden_layer_sizes": (64, 64)}
    begun = SirenRegressor(**options).fit(X, y)
    few = SirenRegressor(**options).fit(X[:FEW], y[:FEW])
    assert unexplained(begun) < 0.25 * unexplained(few)


def test_the_other_rows_help():
    X, y = table(smooth, noise=0.3, n_rows=10_000)
    begun = SirenRegressor(**OPTIONS).fit(X, y)
    few = SirenRegressor(**OPTIONS).fit(X[:FEW], y[:FEW])
    assert unexplained(begun) < 0.5 * unexplained(few)


def test_what_few_rows_do_not_show_is_fitted_as_ever(few_updates):
    X, y = table(fine, n_rows=20_000)
    auto = SirenRegressor(**few_updates).fit(X, y)
    soap = SirenRegressor(**few_updates, solver="soap").fit(X, y)
    np.testing.assert_array_equal(auto.predict(X), soap.predict(X))


def test_ensembles_do_not_memorise_noise_either(few_updates):
    X, y = table(smooth, noise=1.5)
    begun = SirenRegressor(**few_updates, n_estimators=2).fit(X, y)
    assert unexplained(begun) < 0.15
    random = np.random.default_rng(2)
    new = random.uniform(-0.98, 0.98, (2000, 2))
    mean, std = begun.predict(new, return_std=True)
    inside = np.abs(smooth(new) + 1.5 * random.normal(size=2000) - mean) < 1.96 * std
    assert 0.9 < inside.mean() < 0.98
    assert begun.noise_[0] == pytest.approx(1.5, rel=0.1)


@pytest.mark.parametrize("ensemble", [{}, {"n_estimators": 2, "early_stopping": True}])
def test_units_weights_and_outputs(few_updates, ensemble):
    X, y = table(smooth, noise=0.3)
    y = np.column_stack([1e6 * y, y - 1e3])
    model = SirenRegressor(**few_updates, **ensemble).set_params(max_iter=300)
    model.fit(1e-5 * X, y, sample_weight=np.full(len(X), 3.0))
    truth = np.column_stack([1e6 * smooth(X), smooth(X) - 1e3])
    assert model.score(1e-5 * X, truth) > 0.95


def test_time_ends_it_with_a_model():
    X, y = table(smooth)
    with pytest.warns(ConvergenceWarning, match="max_time"):
        model = SirenRegressor(**OPTIONS, max_time=1e-9).fit(X, y)
    assert model.n_iter_ == 1
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("n_estimators", [1, 3])
def test_an_interrupted_beginning_is_kept(ctrl_c_after, n_estimators):
    ctrl_c_after(40)
    X, y = table(smooth)
    with pytest.warns(ConvergenceWarning, match="Ctrl-C"):
        model = SirenRegressor(**OPTIONS, n_estimators=n_estimators).fit(X, y)
    assert unexplained(model) < 0.1
    assert model.noise_ is None


def test_an_interrupted_beginning_leaves_no_checkpoint_and_a_later_one_is_taken_up(
    tmp_path, few_updates
):
    X, y = table(smooth, noise=0.3)
    options = {**few_updates, "checkpoint": tmp_path / "fit"}
    with pytest.warns(ConvergenceWarning, match="max_time"):
        SirenRegressor(**options, max_time=1e-9).fit(X, y)
    assert not (tmp_path / "fit").exists()
    interrupted = SirenRegressor(**options)
    with mock.patch.object(skinr.training.Monitor, "is_over", lambda self, n_iter: n_iter == 30):
        interrupted.fit(X, y)
    assert interrupted.n_iter_ == 30
    plain = SirenRegressor(**few_updates).fit(X, y)
    resumed = SirenRegressor(**options).fit(X, y)
    np.testing.assert_array_equal(resumed.predict(X), plain.predict(X))


@pytest.mark.parametrize(
    ("noise", "low", "high"), [(0.0, 0.95, 1.0), (10.0, -0.1, 0.1), (0.5, 0.3, 0.7)]
)
@pytest.mark.parametrize("repeats", [1, 3])
def test_neighbours_tell_structure_from_noise(noise, low, high, repeats):
    positions = np.random.default_rng(0).random((4000, 2)).repeat(repeats, axis=0)
    values = np.sin(6 * positions[:, 0])
    values += noise * np.random.default_rng(1).standard_normal(len(values))
    assert low <= leftover(ZERO, rows_of(positions, values)).share_of_residuals <= high


def test_neighbours_are_looked_at_in_all_parts_of_a_sorted_table():
    draw = np.random.default_rng(0)
    positions = draw.random((30_000, 2))
    positions = positions[positions[:, 0].argsort()]
    values = np.where(positions[:, 0] > 0.5, np.sin(20 * positions[:, 1]), 0)
    values += 0.1 * draw.standard_normal(len(values))
    assert leftover(ZERO, rows_of(positions, values)).share_of_residuals > 0.9


def test_an_interrupted_fit_keeps_the_better_of_its_beginnings(monkeypatch):
    """When the second one begins, the first one's fit is done."""
    X, y = table(smooth)
    second = skinr.few_rows.fit_most_probable

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGINT)
        return second(*arguments)

    monkeypatch.setattr(skinr.few_rows, "fit_most_probable", interrupted)
    with pytest.warns(ConvergenceWarning, match="Ctrl-C"):
        model = SirenRegressor(**OPTIONS).fit(X, y)
    assert model.score(X, y) > 0.99
    assert model.omega_0_ < 5


def test_rows_that_hardly_count_are_not_among_the_few(few_updates):
    X, y = table(smooth)
    random = np.random.default_rng(1)
    counts = random.uniform(size=3000) < 0.2
    y = np.where(counts, y, 5 * random.normal(size=3000))
    model = SirenRegressor(**few_updates).fit(X, y, np.where(counts, 1.0, 1e-8))
    assert model.score(X[counts], smooth(X[counts])) > 0.999
