import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinr import SirenRegressor
from skinr.frequency import (
    CANDIDATES,
    EDGE_OVER_CANDIDATE,
    EDGE_OVER_OMEGA,
    HIGHEST,
    LOWEST,
    Frequencies,
    candidate_frequencies,
    fallback_frequencies,
    frequencies_for_batches,
    omega_0_from_density,
    spectral_edge,
)


def uniform(n_rows, n_features):
    return np.random.default_rng(0).uniform(0, 1, (n_rows, n_features))


@pytest.mark.parametrize("n_features", [1, 2, 3])
def test_it_grows_with_the_rows_along_an_axis(n_features):
    sizes = [2**k for k in range(4, 18)]
    chosen = [omega_0_from_density(uniform(size, n_features)) for size in sizes]
    assert chosen == sorted(chosen)
    assert chosen[0] == LOWEST
    assert max(chosen) <= HIGHEST


def test_a_photograph_gets_about_the_papers():
    assert omega_0_from_density(uniform(256 * 256, 2)) == pytest.approx(30, rel=0.02)


def test_twice_the_rows_along_an_axis_is_twice_the_frequency():
    few, many = omega_0_from_density(uniform(2000, 2)), omega_0_from_density(uniform(8000, 2))
    assert many == pytest.approx(2 * few)


def test_a_constant_column_is_no_axis():
    X = uniform(1000, 1)
    padded = np.column_stack([X, np.ones(1000)])
    assert omega_0_from_density(padded) == omega_0_from_density(X)
    assert omega_0_from_density(np.ones((1000, 2))) == omega_0_from_density(X)


@pytest.mark.slow
@pytest.mark.parametrize(("n_rows", "noise"), [(100, 0.1), (200, 0.0)])
def test_the_default_is_near_the_best_on_a_small_table(n_rows, noise):
    """And the paper's 30, which suits photographs, is far from it."""
    draw = np.random.default_rng(1)
    X, new = draw.uniform(-3, 3, (n_rows, 1)), draw.uniform(-2.9, 2.9, (2000, 1))
    y = np.exp(-(X[:, 0] ** 2)) * np.cos(4 * X[:, 0]) + draw.normal(0, noise, n_rows)
    truth = np.exp(-(new[:, 0] ** 2)) * np.cos(4 * new[:, 0])

    def error(omega_0):
        model = SirenRegressor((64, 64, 64), omega_0=omega_0, random_state=0).fit(X, y)
        return 1 - model.score(new, truth)

    chosen = error("auto")
    assert chosen < 10 * min(error(omega) for omega in (1, 2, 4, 8))
    assert chosen < 0.3 * error(30)


def test_the_choice_is_reported():
    X = uniform(600, 1)
    model = SirenRegressor((8,), solver="adam", max_iter=5).fit(X, X[:, 0])
    assert model.omega_0_ == omega_0_from_density(X)
    assert SirenRegressor((8,), omega_0=7, max_iter=5).fit(X, X[:, 0]).omega_0_ == 7.0


def test_going_on_keeps_the_frequency_whatever_the_rows():
    X = uniform(600, 1)
    model = SirenRegressor((8,), solver="adam", max_iter=5).fit(X, X[:, 0])
    model.partial_fit(X[:50], X[:50, 0])
    assert model.omega_0_ == omega_0_from_density(X)


@pytest.mark.parametrize("n_features", [1, 2, 3])
def test_more_rows_have_more_candidates(n_features):
    lists = [candidate_frequencies(uniform(size, n_features), 0.0) for size in (1, 10, 100, 500)]
    assert [len(found) for found in lists] == sorted(len(found) for found in lists)
    for found in lists:
        assert found == [Frequencies(omega_0, omega_0) for omega_0 in CANDIDATES[: len(found)]]
    assert len(lists[0]) > 3


def test_fast_oscillations_have_a_candidate_of_their_own():
    *usual, last = candidate_frequencies(uniform(100, 1), 90.0)
    assert usual == candidate_frequencies(uniform(100, 1), 0.0)
    assert last.hidden < last.first == 90 / EDGE_OVER_CANDIDATE


def test_what_is_tried_then_is_lower_and_learns_slowly_in_hidden_layers():
    candidates = candidate_frequencies(uniform(100, 1), 90.0)
    lower = fallback_frequencies(candidates)
    assert [first for first, _ in lower] == [first for first, _ in candidates[-2::-2]]
    assert all(hidden < 1 for _, hidden in lower)
    assert fallback_frequencies(candidates[:1]) == []


@pytest.mark.slow
@pytest.mark.parametrize("hidden_omega_0", [None, 2.0])
def test_a_hidden_frequency_that_is_asked_for_stays(hidden_omega_0):
    x = np.random.default_rng(0).uniform(-1, 1, (200, 1))
    y = np.sin(90 * x[:, 0] + 0.3)
    model = SirenRegressor((64, 64, 64), hidden_omega_0=hidden_omega_0, random_state=0).fit(x, y)
    assert model.hidden_omega_0_ == (hidden_omega_0 or 0.5)
    assert model.omega_0_ in CANDIDATES


def waves(position, frequency):
    """Two of them on two outputs, the second half as fast and of other units."""
    return np.column_stack([np.sin(frequency * position), 1e4 * np.cos(frequency / 2 * position)])


@given(
    st.integers(100, 2000),
    st.floats(0.05, 0.9),
    st.sampled_from([0.0, 0.3]),
    st.floats(-1e3, 1e3),
    st.floats(1e-3, 1e3),
    st.booleans(),
)
def test_the_edge_of_a_spectrum_is_its_highest_frequency(n_rows, pace, noise, shift, unit, even):
    """Up to a few cycles, by which few periods differ, and down to two rows a period."""
    draw = np.random.default_rng(n_rows)
    position = np.linspace(-1, 1, n_rows) if even else np.sort(draw.uniform(-1, 1, n_rows))
    frequency = pace * np.pi * n_rows / (2 if even else 6)
    values = waves(position, frequency)
    values += noise * values.std(axis=0) * draw.normal(size=values.shape)
    X = np.column_stack([np.full(n_rows, 3.0), shift + unit * position])
    order = draw.permutation(n_rows)
    edge = spectral_edge(X[order], values[order])
    assert edge == pytest.approx(frequency, rel=0.05, abs=3 * np.pi)


@pytest.mark.parametrize("n_rows", [2000, 6000, 20_000])
@pytest.mark.parametrize("random_state", range(4))
def test_noise_of_scattered_rows_does_not_raise_the_edge(n_rows, random_state):
    """Interpolated to equidistant positions it has most of its power at low frequencies."""
    draw = np.random.default_rng(random_state)
    X = draw.uniform(-1, 1, (n_rows, 1))
    noise = 1.6 * np.sqrt(1 / 2) * draw.normal(size=X.shape)
    edge = spectral_edge(X, np.sin(38 * X) + noise)
    assert edge == 0 or edge == pytest.approx(38, abs=3 * np.pi)


@pytest.mark.parametrize(("n_rows", "hidden"), [(600, 3), (3000, 3), (12_000, 6), (50_000, 8)])
def test_hidden_layers_learn_oscillations_of_few_rows_slowly(n_rows, hidden):
    coordinates = np.linspace(-1, 1, n_rows)[:, None]
    assert frequencies_for_batches(coordinates, edge=6000.0) == Frequencies(500, hidden)


def test_what_does_not_oscillate_fast_has_one_frequency():
    coordinates = np.linspace(-1, 1, 3000)[:, None]
    first, hidden = frequencies_for_batches(coordinates, edge=100.0)
    assert first == hidden == omega_0_from_density(coordinates)


@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_the_edge_of_a_spectrum_knows_no_units(unit):
    X = np.linspace(-1, 1, 300)[:, None]
    assert spectral_edge(X, unit * waves(X[:, 0], 60.0)) == spectral_edge(X, waves(X[:, 0], 60.0))


@pytest.mark.parametrize(
    "values", [np.random.default_rng(0).normal(size=300), *map(np.ones, (1, 2, 300))]
)
def test_noise_and_constants_have_no_edge(values):
    assert spectral_edge(uniform(len(values), 1), values[:, None]) == 0.0


def test_a_harmonic_of_a_twentieth_of_the_power_is_below_the_edge():
    x = np.linspace(-1, 1, 365)[:, None]
    y = 2 * np.sin(3 * x) + np.sin(160 * x) + 0.52 * np.sin(320 * x)
    assert spectral_edge(x, y) == pytest.approx(320, rel=0.02)


def test_several_variables_have_no_edge():
    X = uniform(300, 2)
    assert spectral_edge(X, waves(X[:, 0], 30.0)) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_rows", "rows_a_period", "sizes", "highest"),
    [(320, 6.25, (48, 48), 1e-4), (2000, 10, (64, 64, 64), 1e-2)],
)
def test_long_signals_are_learned(n_rows, rows_a_period, sizes, highest):
    x, new = np.linspace(0, 1, n_rows)[:, None], np.random.default_rng(0).uniform(0, 1, (2000, 1))
    frequency = 2 * np.pi * n_rows / rows_a_period
    model = SirenRegressor(sizes, random_state=0).fit(x, np.sin(frequency * x[:, 0]))
    assert 1 - model.score(new, np.sin(frequency * new[:, 0])) < highest


def test_the_frequencies_of_a_long_signal_are_reported_and_kept():
    x = np.linspace(-1, 1, 3000)[:, None]
    y = np.sin(900 * x[:, 0])
    model = SirenRegressor((8, 8), solver="adam", max_iter=5, warm_start=True).fit(x, y)
    assert model.omega_0_ == pytest.approx(900 / EDGE_OVER_OMEGA, rel=0.02)
    assert model.hidden_omega_0_ < model.omega_0_
    frequencies = model.omega_0_, model.hidden_omega_0_
    model.fit(x, y).partial_fit(x[:50], y[:50])
    assert (model.omega_0_, model.hidden_omega_0_) == frequencies


@pytest.mark.parametrize("first", range(5))
def test_few_rows_far_from_zero_are_all_seen(first):
    x = np.random.default_rng(first).random((2, 1))
    y = np.array([[0.0], [1.0]])
    assert spectral_edge(1e9 + x, y) == spectral_edge(x, y)
    assert spectral_edge(x - 1e9, y) == spectral_edge(x, y)


def test_the_largest_numbers_warn_of_nothing():
    X = np.linspace(-1, 1, 60)[:, None]
    y = np.sin(9 * X)
    with np.errstate(all="raise"):
        assert spectral_edge(1.7e308 * X, y) == spectral_edge(X, y) > 0
        assert omega_0_from_density(1.7e308 * X) == omega_0_from_density(X)
