import signal
from math import inf

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from skinr import SirenRegressor
from skinr.descent import Descent
from skinr.frequency import CANDIDATES
from skinr.interruption import Interruption
from skinr.jet_rows import JetRows
from skinr.least_squares import LeastSquaresFit
from skinr.most_probable import HOPELESS, PROBATION, fit_most_probable, race, settle
from skinr.network import Architecture, SirenStack
from skinr.passes import evaluate

pytestmark = pytest.mark.slow


WIDE = (128,) * 4
"""Layers with which the tables and random states here need what they test."""


def ripples(X):
    return np.cos(12 * np.hypot(*X.T))


def stack_of(omegas, n_features=1):
    generators = [torch.Generator().manual_seed(0) for _ in omegas]
    architecture = Architecture(n_features, (16, 16), 1)
    return SirenStack.initialize(architecture, omegas, omegas, generators, dtype=torch.float64)


def rows_of(n_rows, noise=0.0):
    generator = torch.Generator().manual_seed(0)
    X = torch.rand((n_rows, 1), generator=generator, dtype=torch.float64) * 2 - 1
    y = (6 * X).sin() + noise * torch.randn(X.shape, generator=generator, dtype=torch.float64)
    return JetRows(X, y[None], torch.ones_like(y)[None])


def test_the_choice_of_omega_0_is_that_network():
    X = np.random.default_rng(0).uniform(-1, 1, (100, 1))
    y = np.sin(8 * X[:, 0]) + 0.5 * np.cos(21 * X[:, 0])
    chosen = SirenRegressor((32, 32), random_state=0).fit(X, y)
    assert chosen.omega_0_ in CANDIDATES
    alone = SirenRegressor((32, 32), omega_0=chosen.omega_0_, random_state=0).fit(X, y)
    np.testing.assert_array_equal(alone.predict(X), chosen.predict(X))


def test_a_low_frequency_has_the_time_to_show_what_it_can_do():
    random = np.random.default_rng(0)
    X, new = random.uniform(-1, 1, (500, 2)), random.uniform(-0.98, 0.98, (2000, 2))
    model = SirenRegressor(WIDE, random_state=0).fit(X, ripples(X))
    assert model.omega_0_ <= 1
    assert 1 - model.score(new, ripples(new)) < 1e-5


def pole(x):
    return 1 / (1 + 25 * x**2)


def logistic(x):
    return 1 / (1 + np.exp(-12 * x))


def kink(x):
    return np.abs(x - 0.2)


@pytest.mark.parametrize(
    ("function", "n_rows", "random_state", "highest"),
    [
        (pole, 60, 5, 3e-4),
        (logistic, 60, 0, 1e-4),
        (logistic, 60, 8, 3e-5),
        (pole, 100, 2, 1e-6),
        (kink, 100, 0, 3e-3),
    ],
)
def test_gaps_between_exact_rows_are_filled_by_low_frequencies(
    function, n_rows, random_state, highest
):
    """At first, and by the evidence alone, higher ones look better."""
    random = np.random.default_rng(random_state)
    random.uniform(size=n_rows)
    X, new = 2 * random.beta(1, 2, (n_rows, 1)) - 1, random.uniform(-1, 1, (2000, 1))
    model = SirenRegressor(WIDE, random_state=random_state).fit(X, function(X[:, 0]))
    assert 1 - model.score(new, function(new[:, 0])) < highest


def test_the_evidence_of_those_that_were_tried_is_not_plainly_larger():
    omegas = [0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
    rows = rows_of(60, noise=0.1)
    fit, chosen = fit_most_probable(stack_of(omegas), [rows], Descent(100, Interruption()))
    fit.review()
    lower = LeastSquaresFit(stack_of(omegas[:chosen][-1:]), rows)
    Descent(100, Interruption()).run(lower)
    lower.review()
    assert chosen > 0
    assert lower.evidence < fit.evidence + 0.1


def test_a_slow_descent_is_not_taken_for_its_end():
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (300, 1))
    y = np.sin(10 * (X[:, 0] + 1) ** 2)
    model = SirenRegressor(random_state=61).fit(X, y)
    new = random.uniform(-1, 1, (2000, 1))
    assert model.score(new, np.sin(10 * (new[:, 0] + 1) ** 2)) > 1 - 1e-6


def test_a_lower_frequency_is_given_time_to_show_what_it_can_do():
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (200, 2))
    model = SirenRegressor(WIDE, random_state=0).fit(X, ripples(X))
    new = random.uniform(-1, 1, (2000, 2))
    assert model.score(new, ripples(new)) > 1 - 1e-2


@pytest.mark.parametrize(
    ("rows_a_period", "noise", "highest"),
    [(8, 0.0, 1e-5), (5, 0.0, 1e-3), (7, 0.1, 1.5e-2)],
)
def test_few_rows_a_period_suffice(rows_a_period, noise, highest):
    """At first lower frequencies look better than they are, and noise is more probable."""
    random = np.random.default_rng(0)
    x, new = np.linspace(-1, 1, 200)[:, None], random.uniform(-1, 1, (2000, 1))
    y, truth = (np.sin(200 * np.pi / rows_a_period * x[:, 0]) for x in (x, new))
    y += random.normal(0, noise * y.std(), 200)
    model = SirenRegressor((64, 64, 64), random_state=0).fit(x, y)
    assert 1 - model.score(new, truth) < highest


def trend_with_season(X):
    return 1.5 * X[:, 0] + np.sin(8 * np.pi * X[:, 0]) / 2


def bowl_with_ripples(X):
    return 2 * (X**2).sum(axis=1) + 0.4 * np.cos(25 * X).sum(axis=1)


@pytest.mark.parametrize(
    ("function", "X", "noise", "highest"),
    [
        (trend_with_season, np.linspace(-1, 1, 48)[:, None], 0.1, 0.04),
        (bowl_with_ripples, np.random.default_rng(0).uniform(-1, 1, (400, 2)), 0.0, 0.14),
    ],
)
def test_fast_ripples_on_a_slow_function_are_no_noise(function, X, noise, highest):
    """To a network of low frequency they are, and leave 0.15 and 0.19."""
    random = np.random.default_rng(1)
    y = function(X) + noise * random.standard_normal(len(X))
    new = random.uniform(-1, 1, (2000, X.shape[1]))
    model = SirenRegressor((64, 64, 64), random_state=0).fit(X, y)
    assert 1 - model.score(new, function(new)) < highest


def test_larger_tables_are_begun_with_a_few_rows():
    rows = rows_of(700, noise=0.1)
    fit, _ = fit_most_probable(stack_of([3.0]), [rows], Descent(200, Interruption()))
    assert 0 < fit.n_steps < len(fit.losses)
    residual = evaluate(fit.stack, rows.coordinates[None]) - (6 * rows.coordinates).sin()
    assert residual.square().mean() < 1e-3


@pytest.mark.parametrize(("noise", "highest"), [(0.0, 1e-4), (0.1, 0.012)])
def test_several_variables_may_want_a_low_frequency(noise, highest):
    """With 1 at least, errors are 1.7e-4 to 4.8e-4, and 0.015 to 0.023."""
    random = np.random.default_rng(0)
    X, new = random.uniform(-1, 1, (2, 200, 3))
    y, truth = (np.sin(3 * A[:, 0]) * np.cos(2 * A[:, 1]) + A[:, 2] ** 2 for A in (X, new))
    y += random.normal(0, noise * y.std(), 200)
    model = SirenRegressor((64, 64, 64), random_state=0).fit(X, y)
    assert model.omega_0_ < 1
    assert 1 - model.score(new, truth) < highest


def test_frequencies_below_hopeless_ones_are_not_tried():
    omegas = [0.1, 0.2, 0.4, 0.8, 4.0]
    generator = torch.Generator().manual_seed(0)
    X = torch.rand((60, 1), generator=generator, dtype=torch.float64) * 2 - 1
    y = (20 * X).sin()
    rows = JetRows(X, y[None], torch.ones_like(y)[None])
    fits, best = race(stack_of(omegas), rows, Descent(100, Interruption()))
    assert best == 4
    assert fits.keys() == {4, 3, 2}


def test_a_fit_without_time_has_the_network_that_begins_best():
    """That of the highest frequency would have a score of 0.3."""
    random = np.random.default_rng(0)
    X, new = random.uniform(-1, 1, (2, 200, 1))
    y = np.sin(6 * X[:, 0]) + random.normal(0, 0.1, 200)
    model = SirenRegressor(max_time=1e-9, random_state=0)
    with pytest.warns(UserWarning, match="after 1 updates"):
        model.fit(X, y)
    assert model.score(new, np.sin(6 * new[:, 0])) > 0.6


@pytest.mark.parametrize(("noise", "all_run"), [(0.0, True), (0.5, False)])
def test_who_is_behind_may_get_ahead_on_exact_rows_but_not_in_noise(noise, all_run):
    stack = stack_of([1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0])
    fits, best = race(stack, rows_of(60, noise), Descent(100, Interruption()))
    begun = {k: fit.merits[0] for k, fit in fits.items()}
    in_reach = [k for k in fits if begun[k] > max(begun.values()) - HOPELESS]
    assert len(in_reach) > 3
    assert all(fits[k].n_steps for k in in_reach) is all_run
    assert fits[best].merit == max(fit.merit for fit in fits.values() if fit.n_steps)


@pytest.mark.parametrize(
    ("merits", "is_left"), [([90.0] * 9, True), ([-9.0] * 8 + [90.0], False), ([-9.0] * 9, False)]
)
def test_fits_are_left_that_are_behind_what_the_best_was_at_half_their_age(merits, is_left):
    rows = rows_of(60)
    fit, ahead = (LeastSquaresFit(stack_of([3.0]), rows) for _ in range(2))
    ahead.merits, ahead.merit = merits, merits[-1]
    settle(fit, Descent(100, Interruption()), ahead)
    assert (fit.n_steps == PROBATION) is is_left


def test_networks_are_compared_before_they_have_converged():
    rows, saved = rows_of(60), []
    for omega_0 in (2.0, 3.0, 5.0):
        settled, converged = (LeastSquaresFit(stack_of([omega_0]), rows) for _ in range(2))
        settle(settled, Descent(500, Interruption()), ahead=settled)
        Descent(500, Interruption()).run(converged)
        converged.review()
        saved.append(converged.n_steps - settled.n_steps)
        assert settled.evidence == pytest.approx(converged.evidence, abs=0.5)
    assert min(saved) >= 0
    assert max(saved) > 0


def test_time_ends_it():
    X = np.random.default_rng(0).uniform(-1, 1, (100, 1))
    y = np.sin(8 * X[:, 0])
    with pytest.warns(ConvergenceWarning, match="max_time"):
        model = SirenRegressor(max_time=1e-9, random_state=0).fit(X, y)
    assert model.n_iter_ <= 1
    assert np.isfinite(model.predict(X)).all()


def test_a_signal_ends_it_after_the_step_that_runs(monkeypatch):
    step, steps = LeastSquaresFit.step, []

    def signalling(fit):
        steps.append(fit)
        if len(steps) == 4:
            signal.raise_signal(signal.SIGINT)
        step(fit)

    monkeypatch.setattr(LeastSquaresFit, "step", signalling)
    X = np.random.default_rng(0).uniform(-1, 1, (100, 1))
    with pytest.warns(ConvergenceWarning, match="Ctrl-C"):
        SirenRegressor(random_state=0).fit(X, np.sin(8 * X[:, 0]))
    assert len(steps) == 4


def test_what_is_done_stays_where_a_signal_ends_the_fit_of_a_better_one(monkeypatch):
    """Ripples want a network that is fitted when the one of the most merit is done."""
    step, steps, last = LeastSquaresFit.step, [], inf

    def signalling(fit):
        steps.append(fit)
        if len(steps) == last:
            signal.raise_signal(signal.SIGINT)
        step(fit)

    monkeypatch.setattr(LeastSquaresFit, "step", signalling)
    X = np.linspace(-1, 1, 48)[:, None]
    y = trend_with_season(X) + 0.1 * np.random.default_rng(1).standard_normal(48)
    whole = SirenRegressor((64, 64, 64), random_state=0).fit(X, y)
    last, steps = len(steps) - 1, []
    with pytest.warns(ConvergenceWarning, match="Ctrl-C"):
        ended = SirenRegressor((64, 64, 64), random_state=0).fit(X, y)
    assert len(steps) == last
    assert ended.omega_0_ < whole.omega_0_
    assert ended.score(X, y) > 0.7


def test_progress_is_shown():
    rows = rows_of(20)
    seen = []
    descent = Descent(20, Interruption(), lambda n_iter, loss: seen.append((n_iter, loss)))
    fit, _ = fit_most_probable(stack_of([3.0]), [rows], descent)
    assert [n_iter for n_iter, _ in seen] == list(range(1, len(fit.losses) + 1))
    assert seen[-1][1] == fit.loss
    assert len(fit.losses) <= 20
    residual = evaluate(fit.stack, rows.coordinates[None]) - rows.targets
    assert residual.square().mean() < 1e-6


def test_many_outputs_are_begun_with_those_that_vary():
    def waves_and_constants(x):
        return np.column_stack([np.zeros((len(x), 7)), np.sin(9 * x + np.arange(3))])

    x, new = np.linspace(-1, 1, 40)[:, None], np.linspace(-0.95, 0.95, 500)[:, None]
    model = SirenRegressor((16, 16), random_state=0).fit(x, waves_and_constants(x))
    np.testing.assert_allclose(model.predict(new), waves_and_constants(new), atol=0.01)
