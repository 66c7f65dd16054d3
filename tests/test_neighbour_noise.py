from math import inf

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skinr import SirenRegressor
from skinr.jet_rows import JetRows
from skinr.neighbour_noise import noise_bound


def rows_of(X, y, weight=None):
    X, y = (torch.from_numpy(np.asarray(part, dtype=np.float64)) for part in (X, y))
    X, y = X.reshape(len(X), -1), y.reshape(len(y), -1)
    weight = torch.ones_like(y) if weight is None else torch.from_numpy(weight)[:, None]
    return JetRows(X, y[None], weight.sqrt().expand_as(y)[None])


@given(seed=st.integers(0, 2**32 - 1), n_rows=st.integers(50, 400), is_even=st.booleans())
def test_it_bounds_the_noise_of_a_line_closely(seed, n_rows, is_even):
    draw = np.random.default_rng(seed)
    x = np.linspace(-1, 1, n_rows) if is_even else draw.uniform(-1, 1, n_rows)
    noise = draw.standard_normal(n_rows)
    bound = noise_bound(rows_of(x, 3 * x + noise))
    assert 0.75 * noise.var() < bound < 3.5 * noise.var()


@given(seed=st.integers(0, 2**32 - 1))
def test_it_bounds_the_weighted_noise_whatever_weights_mean(seed):
    draw = np.random.default_rng(seed)
    x, weight = draw.uniform(-1, 1, 300), 10 ** draw.uniform(-4, 0, 300)
    for scale in (1.0, weight**-0.5):
        noise = scale * draw.standard_normal(300)
        assert 0.85 * np.mean(weight * noise**2) < noise_bound(rows_of(x, noise, weight))


def test_a_line_has_none_whatever_the_order_of_its_rows_and_the_constant_features():
    x = np.random.default_rng(0).permutation(np.repeat(np.linspace(-1, 1, 30), 2))
    X = np.column_stack([np.zeros(60), x])
    assert noise_bound(rows_of(X, np.column_stack([2 * x + 1, x]))) < 1e-28


def test_outputs_and_rows_of_no_weight_do_not_count():
    draw = np.random.default_rng(0)
    x, y = np.linspace(-1, 1, 50), draw.standard_normal((50, 2))
    rows = rows_of(x, y)
    first = rows._replace(root_weight=rows.root_weight * torch.tensor([1.0, 0.0]))
    assert noise_bound(first) == pytest.approx(noise_bound(rows_of(x, y[:, 0])))
    weight = np.repeat([0.0, 1.0], 25)
    some = noise_bound(rows_of(x, y[:, 0], weight))
    assert some == pytest.approx(noise_bound(rows_of(x[25:], y[25:, 0])))


def test_it_is_not_known_of_several_variables_of_derivatives_and_of_two_rows():
    x = np.linspace(-1, 1, 20)
    assert noise_bound(rows_of(np.column_stack([x, x**2]), x)) == inf
    assert noise_bound(rows_of(x[:2], x[:2])) == inf
    assert noise_bound(rows_of(np.zeros(20), x)) == inf
    rows = rows_of(x, x)
    slopes = rows._replace(
        targets=rows.targets.expand(2, -1, -1), root_weight=rows.root_weight.expand(2, -1, -1)
    )
    assert noise_bound(slopes) == inf


def test_a_network_that_misses_nothing_is_not_chosen_anew(monkeypatch):
    monkeypatch.setattr("skinr.most_probable.noise_bound", lambda rows: pytest.fail("asked for"))
    x = np.linspace(0, 1, 10)[:, None]
    SirenRegressor((16, 16), random_state=0).fit(x, 2 * x[:, 0] + 1)


@pytest.mark.slow
def test_narrow_peaks_far_apart_are_no_noise():
    centers = np.random.default_rng(0).uniform(0, 1, 6)

    def peaks(x):
        return np.exp(-(((x - centers) / 0.006) ** 2) / 2).sum(axis=1)

    x, new = (np.linspace(0, 1, n)[:, None] for n in (150, 2000))
    model = SirenRegressor((32, 32), random_state=0).fit(x, peaks(x))
    assert 1 - model.score(new, peaks(new)) < 0.1
