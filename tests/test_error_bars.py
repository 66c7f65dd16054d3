import warnings

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.exceptions import NotFittedError

from skinr import SirenRegressor
from skinr.error_bars import noise_of_unseen, spread
from skinr.network import Architecture, SirenStack
from skinr.passes import evaluate
from skinr.rows import TrainingRows

ADAM = {"hidden_layer_sizes": (64, 64), "solver": "adam", "omega_0": 5.0}
SOLVERS = {"lm": {}, "adam": ADAM, "early stopping": {**ADAM, "early_stopping": True}}


def truth(X):
    return 100 * np.sin(5 * X[:, 0])


@pytest.fixture(scope="module", params=SOLVERS)
def fitted(request):
    """An ensemble on 300 rows with noise of 20, none of them between 0.1 and 0.5."""
    random = np.random.default_rng(1)
    X = random.uniform(-1, 0.6, (300, 1))
    X[X > 0.1] += 0.4
    y = truth(X) + random.normal(0, 20, 300)
    return SirenRegressor(n_estimators=8, random_state=1, **SOLVERS[request.param]).fit(X, y)


@pytest.mark.slow
def test_the_interval_holds_as_many_new_values_as_it_says(fitted):
    random = np.random.default_rng(2)
    new = random.uniform(-1, 0.1, (4000, 1))
    mean, std = fitted.predict(new, return_std=True)
    inside = np.abs(truth(new) + random.normal(0, 20, 4000) - mean) < 1.96 * std
    assert 0.9 < inside.mean() < 0.98


@pytest.mark.slow
def test_the_noise_is_found(fitted):
    tolerance = 0.15 if not fitted.early_stopping else 0.4
    assert fitted.noise_[0] == pytest.approx(20, rel=tolerance)


@pytest.mark.slow
def test_the_width_grows_in_a_gap_and_beyond_the_rows(fitted):
    def width(*positions):
        _, std = fitted.predict(np.array(positions)[:, None], return_std=True)
        return np.sqrt(std**2 - fitted.noise_**2).mean()

    among_rows = width(*np.linspace(-0.9, 0, 50))
    assert width(*np.linspace(0.25, 0.35, 20)) > 2 * among_rows
    assert width(-1.3, 1.3) > 3 * among_rows
    assert width(-1.8, 1.8) > 3 * among_rows


@pytest.mark.slow
def test_the_band_holds_an_oscillation_that_is_hidden_in_a_gap():
    random = np.random.default_rng(0)
    X = random.uniform(0, 8, (120, 1))
    X[X > 4] += 2
    y = np.sin(0.3 * (X[:, 0] + 2) ** 2) + random.normal(0, 0.2, 120)
    model = SirenRegressor(n_estimators=8, random_state=0).fit(X, y)
    hidden = np.linspace(4, 6, 200)[:, None]
    mean, std = model.predict(hidden, return_std=True)
    assert np.mean(np.abs(np.sin(0.3 * (hidden[:, 0] + 2) ** 2) - mean) < 1.96 * std) > 0.6


def test_rows_in_one_place():
    X, y = np.zeros((20, 2)), np.arange(20.0)
    mean, std = SirenRegressor(n_estimators=3, random_state=0).fit(X, y).predict(X, return_std=True)
    np.testing.assert_allclose(mean, 9.5, atol=1.5)
    np.testing.assert_allclose(std, y.std(), rtol=0.8)


@pytest.mark.slow
def test_noise_alone_is_no_function():
    random = np.random.default_rng(0)
    X, y = random.uniform(-1, 1, (150, 1)), random.normal(0, 1, 150)
    model = SirenRegressor(n_estimators=8, random_state=0).fit(X, y)
    mean, std = model.predict(X, return_std=True)
    assert np.abs(mean).max() < 0.8
    assert 0.9 < std.mean() < 1.3


@pytest.mark.slow
@pytest.mark.parametrize("random_state", range(3))
def test_few_rows_that_may_be_exact_or_not(random_state):
    random = np.random.default_rng(random_state)
    X, new = np.linspace(-1, 1, 20)[:, None], random.uniform(-1, 1, (1000, 1))
    y, new_y = (np.sin(8 * part[:, 0]) + random.normal(0, 0.07, len(part)) for part in (X, new))
    model = SirenRegressor(n_estimators=8, random_state=random_state).fit(X, y)
    mean, std = model.predict(new, return_std=True)
    assert np.mean(np.abs(new_y - mean) < 1.96 * std) > 0.7


@pytest.mark.slow
def test_members_of_a_low_frequency_are_no_larger_than_the_targets():
    X, y = np.linspace(-1, 1, 6)[:, None], np.random.default_rng(2).normal(size=6)
    model = SirenRegressor(n_estimators=8, random_state=2).fit(X, y)
    _, std = model.predict(np.linspace(-1, 1, 100)[:, None], return_std=True)
    assert np.median(std) < 2 * y.std()


@pytest.mark.slow
def test_exact_rows_have_no_noise():
    X = np.random.default_rng(0).uniform(-1, 1, (100, 1))
    model = SirenRegressor(n_estimators=4, random_state=0).fit(X, truth(X))
    mean, std = model.predict(X, return_std=True)
    assert model.noise_[0] < 1e-3
    assert np.abs(mean - truth(X)).max() < 0.1
    assert std.max() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("max_iter", [3, 1000])
def test_the_larger_part_of_a_table_may_ask_for_no_more_steps(max_iter):
    X = np.random.default_rng(0).uniform(-1, 1, (600, 1))
    model = SirenRegressor((16, 16), max_iter=max_iter, n_estimators=2, random_state=0)
    assert model.fit(X, np.sin(3 * X[:, 0])).noise_ < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("n_estimators", [4, 8])
def test_memorised_noise_is_seen(n_estimators):
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (200, 1))
    y = random.normal(0, 3, 200)
    options = {"solver": "adam", "omega_0": 60.0, "random_state": 2}
    model = SirenRegressor((64, 64), n_estimators=n_estimators, **options).fit(X, y)
    assert np.std(y - model.predict(X)) < 1.5
    assert 3 < model.noise_[0] < 6
    new = random.uniform(-1, 1, (2000, 1))
    mean, std = model.predict(new, return_std=True)
    assert np.mean(np.abs(random.normal(0, 3, 2000) - mean) < 1.96 * std) > 0.93


@pytest.mark.slow
def test_weights_say_how_noisy_a_row_is():
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (400, 1))
    is_good = random.random(400) < 0.5
    y = truth(X) + random.normal(0, np.where(is_good, 5, 50))
    weight = np.where(is_good, 1 / 5**2, 1 / 50**2)
    model = SirenRegressor((64, 64, 64), n_estimators=4, random_state=0)
    model.fit(X, y, sample_weight=weight)
    assert model.noise_[0] == pytest.approx(1 / np.sqrt(weight.mean()), rel=0.15)


def test_a_spike_in_the_last_rows_is_no_divergence():
    X = np.linspace(0, 1, 3000)[:, None]
    y = np.sin(6 * X[:, 0])
    y[2990] = 1000
    options = {"solver": "adam", "batch_size": 64, "max_iter": 100, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SirenRegressor((16, 16), n_estimators=2, **options).fit(X, y)


def test_one_network_has_none():
    X = np.linspace(-1, 1, 20)[:, None]
    model = SirenRegressor((8, 8), omega_0=3.0)
    with pytest.raises(NotFittedError):
        model.predict(X, return_std=True)
    model.fit(X, X[:, 0])
    assert model.noise_ is None
    with pytest.raises(ValueError, match="n_estimators"):
        model.predict(X, return_std=True)
    with pytest.raises(ValueError, match="both"):
        model.predict(X, return_gradient=True, return_std=True)


@pytest.mark.parametrize("n_members", [2, 3, 8])
def test_the_spread_holds_one_more_draw_as_often_as_it_says(n_members):
    draws = torch.randn(n_members + 1, 20_000, 1, generator=torch.Generator().manual_seed(0))
    members, one_more = draws[:-1], draws[-1]
    inside = (one_more - members.mean(dim=0)).abs() < stats.norm.ppf(0.975) * spread(members)
    assert inside.float().mean().item() == pytest.approx(0.95, abs=0.006)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_sets", [1, 4])
def test_noise_of_unseen_rows_is_told_from_the_spread(weighted, n_sets):
    draw = torch.Generator().manual_seed(0)
    generators = [torch.Generator().manual_seed(k) for k in range(9)]
    members = SirenStack.initialize(
        Architecture(1, (16,), 2), [3.0] * 9, [3.0] * 9, generators, dtype=torch.float64
    )
    coordinates = 2 * torch.rand(n_sets, 4000, 1, generator=draw, dtype=torch.float64) - 1
    weight = 0.2 + torch.rand(n_sets, 4000, 1, generator=draw) if weighted else None
    noise = torch.tensor([0.02, 0.4]) / (1 if weight is None else weight.sqrt())
    truth = evaluate(members, coordinates.flatten(0, 1)[None]).mean(dim=0).view(n_sets, 4000, 2)
    assert evaluate(members, coordinates[:1]).std(dim=0).mean() > 0.1
    targets = truth + noise * torch.randn(truth.shape, generator=draw)
    found = noise_of_unseen(members, TrainingRows(coordinates, targets, weight))
    assert 0.38 < found[1] < 0.52
    assert found[0] < 0.25


def test_an_ensemble_of_which_one_network_was_done_says_what_happened():
    X = np.linspace(-1, 1, 60)[:, None]
    with pytest.warns(UserWarning, match="max_time"):
        model = SirenRegressor(n_estimators=4, max_time=1e-6, random_state=0).fit(X, truth(X))
    with pytest.raises(ValueError, match="has a single network"):
        model.predict(X, return_std=True)


def test_an_ensemble_interrupted_in_its_first_member_keeps_the_network_of_the_rows(ctrl_c_after):
    """Members are fitted to rows with noise added; what is left without them is none of these."""
    X = np.linspace(-1, 1, 60)[:, None]
    y = truth(X) + np.random.default_rng(0).normal(0, 20, 60)
    single = SirenRegressor(omega_0=3, random_state=0).fit(X, y)
    ctrl_c_after(single.n_iter_ + 3)
    with pytest.warns(UserWarning, match="Ctrl-C"):
        cut = SirenRegressor(omega_0=3, n_estimators=4, random_state=0).fit(X, y)
    np.testing.assert_array_equal(cut.predict(X), single.predict(X))
