import numpy as np
import pytest
import torch

from skinr import SirenRegressor
from skinr.descent import Descent
from skinr.interruption import Interruption
from skinr.jet_rows import JetRows
from skinr.least_squares import LeastSquaresFit
from skinr.lower_frequencies import Choice, neighbours, prefer_lower
from skinr.network import Architecture, SirenStack

pytestmark = pytest.mark.slow

OMEGAS = [1.0, 2.0, 24.0]
LOWER = [2.0, 1.0]


def rings(X):
    return np.cos(20 * np.hypot(*X.T))


def waves(X):
    return np.sin(7 * X[:, 0]) * np.cos(9 * X[:, 1])


@pytest.mark.parametrize(
    ("function", "n_rows", "noise", "highest"),
    [(waves, 200, 0.0, 3e-3), (rings, 400, 0.0, 0.012), (rings, 400, 0.1, 0.1)],
)
def test_what_no_function_near_the_initial_one_explains_is_found(function, n_rows, noise, highest):
    """The frequencies of the largest evidence leave 0.008, 0.03 and 0.15."""
    random = np.random.default_rng(0)
    X, new = random.uniform(-1, 1, (n_rows, 2)), random.uniform(-1, 1, (2000, 2))
    y = function(X) + noise * random.standard_normal(n_rows)
    model = SirenRegressor((64, 64, 64), random_state=0).fit(X, y)
    assert 1 - model.score(new, function(new)) < highest


def stack_of(n_outputs=1):
    first, hidden = OMEGAS + LOWER, OMEGAS + [0.5 for _ in LOWER]
    generators = [torch.Generator().manual_seed(0) for _ in first]
    architecture = Architecture(2, (32, 32), n_outputs)
    return SirenStack.initialize(architecture, first, hidden, generators, dtype=torch.float64)


def test_few_scattered_rows_a_period_suffice():
    """Seven of them; the frequency of the largest evidence leaves 4e-4."""
    random = np.random.default_rng(0)
    x, new = random.uniform(-1, 1, (200, 1)), random.uniform(-1, 1, (2000, 1))
    y, truth = (np.sin(np.pi * 200 / 7 * X[:, 0] + 0.3) for X in (x, new))
    model = SirenRegressor((64, 64, 64), random_state=0).fit(x, y)
    assert 1 - model.score(new, truth) < 1e-5


def rows_of(values, seed=0):
    draw = torch.Generator().manual_seed(seed)
    X = 2 * torch.rand((200, 2), generator=draw, dtype=torch.float64) - 1
    y = values(X)
    return JetRows(X, y[None], torch.ones_like(y)[None])


def circles(X, frequency=14):
    return (frequency * X.norm(dim=1, keepdim=True)).cos()


def smooth(X):
    return (3 * X[:, :1]).sin()


def noise(X):
    return torch.randn((len(X), 1), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def chosen_of(stack, rows, k):
    fit = LeastSquaresFit(stack.take(k), rows)
    Descent(200, Interruption()).run(fit)
    fit.review()
    return Choice(fit, k)


def preferred(rows, few, choice, stack, interruption=None):
    descent = Descent(200, interruption or Interruption())
    return prefer_lower(stack, rows, few, choice, descent)


@pytest.mark.parametrize(
    ("values", "chosen"),
    [(smooth, 1), (lambda X: smooth(X) + noise(X), 1), (circles, 0)],
    ids=["found", "noisy", "no lower one"],
)
@pytest.mark.parametrize("n_few", [160, 200])
def test_nothing_else_is_tried(values, chosen, n_few, monkeypatch):
    monkeypatch.delattr(LeastSquaresFit, "of_another")
    stack, rows = stack_of(), rows_of(values)
    few = rows.thinned(n_few)
    choice = chosen_of(stack, few, chosen)
    assert preferred(rows, few, choice, stack) is choice


@pytest.mark.parametrize("n_few", [160, 200])
def test_a_lower_frequency_that_misses_less_is_taken(n_few):
    stack, rows, new = stack_of(), rows_of(circles), rows_of(circles, seed=1)
    few = rows.thinned(n_few)
    far_too_high = chosen_of(stack, few, 2)
    better = preferred(rows, few, far_too_high, stack)
    assert better.chosen >= len(OMEGAS)
    assert better.fit.missed(new).mean() < far_too_high.fit.missed(new).mean() / 3


@pytest.mark.parametrize("n_few", [160, 200])
def test_where_no_other_misses_less_it_stays(n_few):
    stack, rows = stack_of(), rows_of(lambda X: circles(X, 90))
    few = rows.thinned(n_few)
    choice = chosen_of(stack, few, 2)
    kept = preferred(rows, few, choice, stack)
    assert kept.chosen == 2
    assert kept.fit.n_numbers == n_few


def test_more_rows_are_taken_where_few_show_nothing():
    rows = rows_of(circles)
    stack, few = stack_of(), rows.thinned(60)
    choice = chosen_of(stack, few, 2)
    assert preferred(rows, few, choice, stack).fit.n_numbers > 60


@pytest.mark.parametrize("n_few", [160, 200])
def test_an_interruption_leaves_what_was_chosen(n_few):
    stack, rows = stack_of(), rows_of(circles)
    few = rows.thinned(n_few)
    choice = chosen_of(stack, few, 2)
    with Interruption(max_time=1e-9) as interruption:
        left = preferred(rows, few, choice, stack, interruption)
    assert interruption.ended_by
    assert left.fit is choice.fit


def test_outputs_that_are_not_fitted_yet_are_not_missed(monkeypatch):
    rows = rows_of(lambda X: torch.cat([smooth(X), circles(X, 90)], dim=1))
    stack, few = stack_of(2), rows.thinned(160)
    few = few._replace(root_weight=few.root_weight * torch.tensor([1.0, 0.0]))
    choice = chosen_of(stack, few, 1)
    monkeypatch.delattr(LeastSquaresFit, "of_another")
    assert preferred(rows, few, choice, stack) is choice


@pytest.mark.parametrize(
    ("omega_0", "expected"),
    [(1.0, [1.0, 2.0, 1.0]), (2.5, [1.0, 2.0, 24.0, 2.0, 1.0]), (99.0, [2.0, 24.0, 2.0, 1.0])],
)
def test_neighbours_keep_what_may_be_preferred_to_them(omega_0, expected):
    assert list(neighbours(stack_of(), omega_0).omega_0) == expected
