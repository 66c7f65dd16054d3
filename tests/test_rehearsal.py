import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.metrics import get_scorer
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skinr.regressor
import skinr.solve
from skinr import SirenRegressor
from skinr.rehearsal import Rehearsal, StandIn, final_step, with_stand_in, without_stand_in


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    def train(*args, **kwargs):
        raise AssertionError("a rehearsal trains nothing")

    monkeypatch.setattr(skinr.solve, "train", train)


def rehearse(estimator, candidates, table, *, with_judges=False):
    options = {"with_judges": with_judges, "error_score": np.nan}
    rehearsal = Rehearsal(estimator, get_scorer("r2"), True, **options)
    for candidate in candidates:
        rehearsal.run(candidate, *table, KFold(3), {})
    return rehearsal


@pytest.mark.parametrize("depth", [0, 1, 2])
@config_context(enable_metadata_routing=True)
def test_a_stand_in_takes_the_last_place_and_gives_it_back(depth):
    estimator = SirenRegressor(omega_0=7.0).set_fit_request(sample_weight=True)
    for _ in range(depth):
        estimator = make_pipeline(StandardScaler(), estimator)
    fitted = []
    replaced = with_stand_in(estimator, lambda regressor, arguments: fitted.append(arguments))
    for copy in (replaced, clone(replaced)):
        assert isinstance(final_step(copy), StandIn)
        copy.fit([[0.0], [2.0]], [1.0, 2.0])
    assert type(final_step(estimator)) is SirenRegressor
    assert [arguments.keys() for arguments in fitted] == [{"X", "y"}] * 2
    np.testing.assert_array_equal(fitted[1]["X"], [[-1.0], [1.0]] if depth else [[0.0], [2.0]])
    restored = final_step(without_stand_in(replaced))
    assert type(restored) is SirenRegressor
    assert repr(restored) == repr(final_step(estimator))
    assert repr(restored.get_metadata_routing()) == repr(
        final_step(estimator).get_metadata_routing()
    )


def test_what_is_recorded(chirp):
    pipe = make_pipeline(StandardScaler(), SirenRegressor(random_state=0))
    candidates = [{"sirenregressor__omega_0": omega} for omega in (2.0, 5.0, 2.0)]
    rehearsal = rehearse(pipe, candidates, chirp, with_judges=True)
    assert list(rehearsal.fits) == rehearsal.keys[0] + rehearsal.keys[1]
    assert rehearsal.keys[2] == rehearsal.keys[0]
    for fold, (train, test) in enumerate(KFold(3).split(*chirp)):
        first, second = (rehearsal.fits[rehearsal.keys[k][fold]] for k in (0, 1))
        assert (first.regressor.omega_0, second.regressor.omega_0) == (2.0, 5.0)
        assert (first.candidate, second.candidate) == (0, 1)
        assert first.arguments is second.arguments
        scaler = StandardScaler().fit(chirp[0][train])
        np.testing.assert_array_equal(first.arguments["X"], scaler.transform(chirp[0][train]))
        np.testing.assert_array_equal(first.arguments["y"], chirp[1][train])
        np.testing.assert_array_equal(first.judge.rows[0], chirp[0][test])
        np.testing.assert_array_equal(first.judge.rows[1], chirp[1][test])
        assert first.judge.estimator[-1] is first.regressor


class Fragile(TransformerMixin, BaseEstimator):
    """Can't be fitted to a table that begins as the first fold does not."""

    def __init__(self, breaks=True):
        self.breaks = breaks

    def fit(self, X, y=None):
        if self.breaks and X[0, 0] > 0:
            raise ValueError("broken")
        return self

    def transform(self, X):
        return X


def test_what_fails_is_left_for_later(chirp):
    pipe = make_pipeline(Fragile(), SirenRegressor(random_state=0))
    candidates = [{"fragile__breaks": True}, {"unknown__parameter": 1}, {"fragile__breaks": False}]
    rehearsal = rehearse(pipe, candidates, chirp)
    assert [len(keys) for keys in rehearsal.keys] == [2, 0, 3]
    assert len(rehearsal.fits) == 3
