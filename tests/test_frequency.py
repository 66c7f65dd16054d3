import numpy as np
import pytest

from skinr import SirenRegressor
from skinr.frequency import CANDIDATES, HIGHEST, LOWEST, candidate_frequencies, omega_0_from_density


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


@pytest.mark.accuracy
@pytest.mark.parametrize(("n_rows", "noise"), [(100, 0.1), (300, 0.0)])
def test_the_default_is_near_the_best_on_a_small_table(n_rows, noise):
    """And the paper's 30, which suits photographs, is far from it."""
    draw = np.random.default_rng(1)
    X, new = draw.uniform(-3, 3, (n_rows, 1)), draw.uniform(-2.9, 2.9, (2000, 1))
    y = np.exp(-(X[:, 0] ** 2)) * np.cos(4 * X[:, 0]) + draw.normal(0, noise, n_rows)
    truth = np.exp(-(new[:, 0] ** 2)) * np.cos(4 * new[:, 0])

    def error(omega_0):
        model = SirenRegressor(omega_0=omega_0, max_iter=500, random_state=0).fit(X, y)
        return 1 - model.score(new, truth)

    assert error("auto") < 10 * min(error(omega) for omega in (1, 2, 4, 8))
    assert error("auto") < 0.3 * error(30)


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
    lists = [candidate_frequencies(uniform(size, n_features)) for size in (1, 10, 100, 500)]
    assert [len(found) for found in lists] == sorted(len(found) for found in lists)
    assert all(found == list(CANDIDATES[: len(found)]) for found in lists)
    assert len(lists[0]) > 3
