import io
import signal
import sys
import warnings
from time import sleep

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_score,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import skinr.regressor
import skinr.solve
import skinr.training
from skinr import SirenRegressor


def small(**parameters):
    """A regressor that fits in a tenth of a second."""
    return SirenRegressor(
        **{
            "hidden_layer_sizes": (32, 32),
            "solver": "adam",
            "omega_0": 5.0,
            "max_iter": 200,
            "random_state": 0,
            "learning_rate_init": 5e-3,
            **parameters,
        }
    )


@parametrize_with_checks([SirenRegressor(), small()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        SirenRegressor((16, 16), solver="lm", omega_0=3.0, n_estimators=2),
        small(
            loss="absolute_error",
            batch_size=32,
            first_layer_init="lecture",
            hidden_omega_0=10.0,
            max_iter=100,
        ),
        small(
            loss="huber",
            alpha=1e-5,
            weight_scale=1.5,
            early_stopping=True,
            n_estimators=2,
            omega_0=2.0,
            max_iter=100,
        ),
        small(
            solver="soap",
            batch_size=64,
            normalize_X=False,
            normalize_y=False,
            learning_rate="constant",
            max_iter=100,
        ),
    ]
)
def test_scikit_learns_checks_of_others(estimator, check):
    check(estimator)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
@pytest.mark.parametrize("batch_size", ["auto", 50])
def test_it_learns_with_every_loss(chirp, loss, batch_size):
    X, y = chirp
    model = small(loss=loss, batch_size=batch_size, max_iter=600).fit(X, y)
    new = np.random.default_rng(0).uniform(0, 1, (1000, 1))
    assert model.score(new, np.sin(20 * new[:, 0] ** 2)) > 0.999


@pytest.mark.parametrize("output_activation", ["identity", "sine"])
@pytest.mark.parametrize("first_layer_init", ["paper", "lecture"])
def test_it_learns_with_every_network(chirp, output_activation, first_layer_init):
    X, y = chirp
    model = small(
        output_activation=output_activation,
        first_layer_init=first_layer_init,
        normalize_y=False,
        weight_scale=1.5,
        max_iter=500,
    )
    assert model.fit(X, y).score(X, y) > 0.99


def test_targets_of_several_columns(chirp):
    X, y = chirp
    both = np.column_stack([y, 1e6 * np.cos(5 * X[:, 0])])
    model = small(max_iter=500).fit(X, both)
    assert model.predict(X).shape == both.shape
    assert model.n_outputs_ == 2
    assert min(1 - np.var(model.predict(X) - both, axis=0) / both.var(axis=0)) > 0.999


def test_a_column_stays_a_column(chirp):
    X, y = chirp
    model = small().fit(X, y[:, None])
    assert model.predict(X).shape == (200, 1)
    np.testing.assert_array_equal(model.predict(X)[:, 0], small().fit(X, y).predict(X))


@settings(max_examples=10)
@given(
    st.floats(-1e6, 1e6),
    st.floats(1e-6, 1e6),
    st.floats(-1e6, 1e6),
    st.one_of(st.floats(1e-6, 1e6), st.floats(-1e6, -1e-6)),
)
def test_units_do_not_matter(X_shift, X_factor, y_shift, y_factor):
    X = np.random.default_rng(0).uniform(0, 1, (60, 1))
    y = np.sin(5 * X[:, 0])
    X_shift, y_shift = X_shift * X_factor, y_shift * abs(y_factor)
    reference = small().fit(X, y).predict(X)
    model = small().fit(X_shift + X_factor * X, y_shift + y_factor * y)
    predicted = (model.predict(X_shift + X_factor * X) - y_shift) / y_factor
    if y_factor > 0:
        np.testing.assert_allclose(predicted, reference, atol=2e-3)
    assert model.score(X_shift + X_factor * X, y_shift + y_factor * y) > 0.999


@pytest.mark.parametrize("unit", [1e-300, 1e-30, 1e30, 1e300])
def test_extreme_units(chirp, unit):
    X, y = chirp
    predicted = small().fit(unit * X, unit * y).predict(unit * X)
    np.testing.assert_allclose(predicted / unit, small().fit(X, y).predict(X), atol=1e-3)


@pytest.mark.parametrize("batch_size", ["auto", 7])
def test_integer_weights_are_repeated_rows_to_the_bit(chirp, batch_size):
    X, y = chirp
    repeats = np.random.default_rng(0).integers(0, 4, len(X))
    weighted = small(batch_size=batch_size).fit(X, y, sample_weight=repeats)
    order = np.random.default_rng(1).permutation(np.repeat(np.arange(len(X)), repeats))
    repeated = small(batch_size=batch_size).fit(X[order], y[order])
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))


def test_weights_say_which_rows_count(chirp):
    X, y = chirp
    other = np.r_[y, y + 1]
    weight = np.r_[np.full(200, 9.0), np.ones(200)]
    model = small(max_iter=1000).fit(np.r_[X, X], other, sample_weight=weight)
    np.testing.assert_allclose(model.predict(X), y + 0.1, atol=0.02)


def test_weights_in_a_table_too_large_for_canonical_form():
    draw = np.random.default_rng(0)
    X = draw.uniform(0, 1, (60_000, 1))
    side = draw.random(60_000) < 0.5
    weight = np.where(side, 3.0, 1.0)
    model = small(max_iter=1000).fit(X, side.astype(float), sample_weight=weight)
    assert model.predict(np.linspace(0.1, 0.9, 50)[:, None]).mean() == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_warnings_point_at_the_call(chirp, method):
    with pytest.warns(ConvergenceWarning, match="diverged") as warned:
        getattr(small(learning_rate_init=1e3, batch_size=4), method)(*chirp)
    assert warned[0].filename == __file__


def test_early_stopping_learns_less_of_the_noise(chirp):
    X, y = chirp
    draw = np.random.default_rng(0)
    noisy = y + draw.normal(0, 0.3, len(y))
    patient = small(omega_0=60.0, max_iter=2000).fit(X, noisy)
    stopped = small(omega_0=60.0, max_iter=2000, early_stopping=True).fit(X, noisy)
    assert stopped.n_iter_ < 2000
    assert stopped.score(X, y) > patient.score(X, y)
    assert patient.validation_scores_ is None


@pytest.mark.parametrize("n_rows", [10, 200])
def test_early_stopping_looks_at_what_varies(chirp, n_rows):
    X, y = (part[:n_rows] for part in chirp)
    noisy = y + np.random.default_rng(0).normal(0, 0.3, n_rows)
    alone = small(omega_0=60.0, early_stopping=True).fit(X, noisy)
    beside = small(omega_0=60.0, early_stopping=True).fit(X, np.c_[noisy, np.ones(n_rows)])
    assert beside.validation_scores_.min() > -100
    errors = [np.mean((part - y) ** 2) for part in (alone.predict(X), beside.predict(X)[:, 0])]
    assert errors[1] < errors[0] + 0.3**2


def test_early_stopping_within_fewer_updates_than_an_evaluation(chirp):
    X, y = chirp
    short = small(max_iter=5, early_stopping=True).fit(X, y)
    assert len(short.validation_scores_) == 2


def test_fitted_attributes(chirp):
    X, y = chirp
    model = small(hidden_layer_sizes=(16, 8)).fit(pd.DataFrame({"time": X[:, 0]}), y)
    assert model.n_parameters_ == 2 * 16 + 17 * 8 + 9
    assert sum(part.numel() for part in model.network_.parameters()) == model.n_parameters_
    assert model.feature_names_in_.tolist() == ["time"]
    assert model.omega_0_ == 5.0
    assert model.loss_curve_.shape == (model.n_iter_,) == (200,)
    assert model.best_loss_ == model.loss_curve_.min()
    assert model.device_ == torch.device("cpu") or torch.cuda.is_available()


def test_the_network_is_usable_on_its_own(chirp):
    X, y = chirp
    model = small(normalize_X=False, normalize_y=False).fit(X, y)
    with torch.no_grad():
        alone = model.network_(torch.tensor(X, dtype=torch.float32, device=model.device_))[:, 0]
    np.testing.assert_allclose(model.predict(X), alone.cpu(), atol=1e-5)


def test_layer_activations(chirp):
    X, y = chirp
    model = small(hidden_layer_sizes=(16, 8)).fit(X, y)
    layers = model.layer_activations(X)
    assert [before.shape for before, _ in layers] == [(200, 16), (200, 8), (200, 1)]
    for before, after in layers[:-1]:
        np.testing.assert_allclose(np.sin(before), after, atol=1e-6)
    np.testing.assert_array_equal(*layers[-1])


def test_predictions_keep_the_dtype_of_the_target(chirp):
    X, y = chirp
    assert small(max_iter=5).fit(X, y.astype(np.float32)).predict(X).dtype == np.float32
    assert small(max_iter=5).fit(X, y).predict(X.astype(np.float32)).dtype == np.float64
    assert small(max_iter=5).fit(X, np.arange(200)).predict(X).dtype == np.float64


def test_predictions_do_not_depend_on_the_batch(chirp):
    X, y = chirp
    model = small().fit(X, y)
    many = np.random.default_rng(0).uniform(0, 1, (70_000, 1))
    together = model.predict(many)
    for size in (1, 3, 100, 5000):
        np.testing.assert_allclose(model.predict(many[:size]), together[:size], atol=1e-6)


def test_the_same_integer_gives_the_same_bits(chirp):
    X, y = chirp
    first = small(batch_size=50).fit(X, y).predict(X)
    torch.rand(7)
    np.random.rand(7)
    np.testing.assert_array_equal(first, small(batch_size=50).fit(X, y).predict(X))
    other = small(batch_size=50, random_state=1).fit(X, y).predict(X)
    assert not np.array_equal(first, other)


def test_the_global_generators_are_left_alone(chirp):
    X, y = chirp
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    small(early_stopping=True, batch_size=50).fit(X, y).predict(X)
    assert torch.equal(torch_state, torch.random.get_rng_state())
    np.testing.assert_array_equal(numpy_state, np.random.get_state()[1])


def test_warm_start_goes_on(chirp):
    X, y = chirp
    model = small(warm_start=True, max_iter=100).fit(X, y)
    first = model.loss_curve_
    model.fit(X, y)
    assert model.loss_curve_[0] < 0.1 * first[0]
    cold = small(max_iter=100).fit(X, y).fit(X, y)
    np.testing.assert_array_equal(cold.loss_curve_, first)


@pytest.mark.parametrize("changed", [{"omega_0": 6.0}, {"hidden_layer_sizes": (8,)}], ids=str)
def test_warm_start_of_another_network_is_an_error(chirp, changed):
    X, y = chirp
    model = small(warm_start=True, max_iter=5).fit(X, y).set_params(**changed)
    with pytest.raises(ValueError, match="warm_start=False"):
        model.fit(X, y)


def test_warm_start_by_another_solver_keeps_the_layers(chirp):
    X, y = chirp
    model = SirenRegressor(warm_start=True, max_iter=3, omega_0=5.0, random_state=0).fit(X, y)
    n_parameters = model.n_parameters_
    model.set_params(solver="adam").fit(X, y).partial_fit(X, y)
    assert model.n_parameters_ == n_parameters
    assert clone(model).fit(X, y).n_parameters_ != n_parameters


def test_partial_fit_learns_from_a_stream():
    draw = np.random.default_rng(0)
    model = small(learning_rate_init=2e-3, batch_size=100)
    for _ in range(150):
        X = draw.uniform(0, 1, (300, 1))
        model.partial_fit(X, np.sin(20 * X[:, 0] ** 2))
    new = draw.uniform(0.05, 0.95, (500, 1))
    assert model.score(new, np.sin(20 * new[:, 0] ** 2)) > 0.99
    assert model.n_iter_ == len(model.loss_curve_) == 450


def test_partial_fit_goes_on_from_fit(chirp):
    X, y = chirp
    model = small().fit(X, y)
    before = model.score(X, y)
    model.set_params(learning_rate_init=1e-4).partial_fit(X, y)
    assert model.score(X, y) > before - 0.01
    assert model.n_iter_ == 201


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_over_omega(chirp, n_jobs):
    X, y = chirp
    pipeline = make_pipeline(MinMaxScaler(), small())
    grid = {"sirenregressor__omega_0": [0.1, 5.0, 300.0]}
    search = GridSearchCV(pipeline, grid, cv=KFold(3, shuffle=True, random_state=0), n_jobs=n_jobs)
    assert search.fit(X, y).best_params_ == {"sirenregressor__omega_0": 5.0}
    assert search.score(X, y) > 0.99


def test_searches_agree_whatever_n_jobs(chirp):
    X, y = chirp
    alone, together = (
        cross_val_score(small(), X, y, cv=KFold(3, shuffle=True, random_state=0), n_jobs=n_jobs)
        for n_jobs in (1, 2)
    )
    np.testing.assert_allclose(alone, together, atol=1e-4)


def test_model_selection_and_target_transforms(chirp):
    X, y = chirp
    _, _, scores = learning_curve(
        small(), X, y, train_sizes=[0.3, 1.0], cv=KFold(3, shuffle=True, random_state=0)
    )
    assert scores[1].mean() > scores[0].mean() - 0.05
    positive = TransformedTargetRegressor(small(), func=np.log, inverse_func=np.exp)
    assert positive.fit(X, np.exp(y)).score(X, np.exp(y)) > 0.99


def test_set_output_reaches_through_a_pipeline(chirp):
    X, y = chirp
    pipeline = make_pipeline(FunctionTransformer(feature_names_out="one-to-one"), small())
    pipeline.set_output(transform="pandas")
    pipeline.fit(pd.DataFrame({"time": X[:, 0]}), y)
    assert pipeline[-1].feature_names_in_.tolist() == ["time"]


def test_metadata_routing_of_weights(chirp):
    X, y = chirp
    weight = np.tile([1.0, 0.0], 100)
    with sklearn.config_context(enable_metadata_routing=True):
        model = small().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        routed = make_pipeline(FunctionTransformer(), model).fit(X, y, sample_weight=weight)
        search = GridSearchCV(
            model, {"omega_0": [5.0]}, cv=KFold(2, shuffle=True, random_state=0)
        ).fit(X, np.where(weight > 0, y, 99.0), sample_weight=weight)
    direct = small().fit(X[::2], y[::2])
    np.testing.assert_array_equal(routed.predict(X), direct.predict(X))
    assert search.best_score_ > 0.9


def test_a_constant_target_is_predicted_exactly(chirp):
    X, _ = chirp
    assert (small(max_iter=20).fit(X, np.full(200, 3.7)).predict(X) == 3.7).all()


def test_a_constant_feature_and_one_row(chirp):
    X, y = chirp
    padded = np.column_stack([X, np.full(200, 7.0)])
    assert small().fit(padded, y).score(padded, y) > 0.99
    assert small(max_iter=20).fit([[1.0]], [5.0]).predict([[2.0]]) == [5.0]


@pytest.mark.parametrize("far", [1e3, 1e30, 1e300, -1e300])
def test_extrapolation_is_finite(chirp, far):
    X, y = chirp
    assert np.isfinite(small(max_iter=20).fit(X, y).predict([[far]])).all()


def test_divergence_is_reported_and_never_returned(chirp):
    X, y = chirp
    with pytest.warns(ConvergenceWarning, match="learning_rate_init"):
        model = small(learning_rate_init=1e4).fit(X, y)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("rate", [1e3, 1e6, 1e30])
@pytest.mark.parametrize("batch_size", [50, 200])
def test_an_absurd_rate_is_lowered_until_the_fit_learns(chirp, rate, batch_size):
    X, y = chirp
    with pytest.warns(ConvergenceWarning, match="learning_rate_init"):
        model = small(learning_rate_init=rate, batch_size=batch_size, max_iter=500).fit(X, y)
    assert model.score(X, y) > 0.8


UNITS = st.integers(-300, 300).map(lambda exponent: 10.0**exponent)


@pytest.mark.filterwarnings("ignore:overflow")  # of slopes beyond 1e308
@settings(max_examples=40)
@given(
    X_unit=UNITS,
    y_unit=UNITS,
    X_offset=st.sampled_from([0.0, 1.0, -1e6]),
    y_offset=st.sampled_from([0.0, 1.0, -1e6]),
    noise=st.sampled_from([0.0, 1e-16, 1e-8, 1.0]),
    n_rows=st.integers(1, 30),
    options=st.sampled_from([{}, {"batch_size": 4}, {"loss": "huber"}, {"alpha": 1e-3}]),
)
def test_numbers_stay_numbers(X_unit, y_unit, X_offset, y_offset, noise, n_rows, options):
    random = np.random.default_rng(0)
    X = X_unit * (X_offset + random.normal(size=(n_rows, 2)))
    y = y_unit * (y_offset + noise * random.normal(size=n_rows))
    model = small(max_iter=30, **options).fit(X, y)
    predicted = model.predict(X)
    assert np.isfinite(predicted).all()
    assert not np.isnan(model.gradient(X)).any()
    middle, half = (y.max() / 2 + y.min() / 2), (y.max() / 2 - y.min() / 2)
    assert (np.abs(predicted - middle) <= 100 * half).all()


@pytest.mark.parametrize(
    "values", [[5e-324, 1e-323], [1e-310, 2e-310], [1.0, 1.0 + 2**-52]], ids=str
)
def test_values_at_the_edge_of_their_dtype(values):
    X = np.array(values)[:, None]
    model = small(max_iter=50).fit(X, values)
    predicted = model.predict(X)
    assert np.isfinite(predicted).all()
    assert (np.abs(predicted - values) <= np.ptp(values)).all()


def test_thousands_of_columns():
    X = np.random.default_rng(0).normal(size=(20, 10_000))
    y = X[:, 0]
    model = SirenRegressor((8, 8), max_iter=20, random_state=0).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert model.gradient(X).shape == X.shape


def test_repeated_rows_of_different_values_meet_in_the_middle():
    X = np.repeat([[0.0], [1.0]], 3, axis=0)
    y = np.array([0.0, 1.0, 2.0, 5.0, 6.0, 7.0])
    np.testing.assert_allclose(small().fit(X, y).predict([[0.0], [1.0]]), [1.0, 6.0], atol=1e-3)


def interrupt_after(monkeypatch, n_updates, interrupt):
    """Call `interrupt` in the middle of the update after so many."""
    step = skinr.training.Adam.step

    def interrupted_step(self, gradient, learning_rate):
        if self.n_updates == n_updates:
            interrupt()
        step(self, gradient, learning_rate)

    monkeypatch.setattr(skinr.training.Adam, "step", interrupted_step)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_the_fit_and_leaves_a_usable_model(chirp, monkeypatch, number):
    X, y = chirp
    handler = signal.getsignal(number)
    complete = small(learning_rate="constant", max_iter=51).fit(X, y)
    interrupt_after(monkeypatch, 50, lambda: signal.raise_signal(number))
    with pytest.warns(ConvergenceWarning, match="51 updates"):
        model = small(learning_rate="constant").fit(X, y)
    assert model.n_iter_ == 51
    np.testing.assert_array_equal(model.predict(X), complete.predict(X))
    assert signal.getsignal(number) == handler


@pytest.mark.parametrize("options", [{}, {"solver": "lm", "omega_0": "auto"}])
def test_a_signal_before_the_first_update_leaves_a_model(chirp, monkeypatch, options):
    prepare = skinr.regressor.prepare

    def interrupted(*args, **kwargs):
        signal.raise_signal(signal.SIGINT)
        return prepare(*args, **kwargs)

    monkeypatch.setattr(skinr.regressor, "prepare", interrupted)
    with pytest.warns(ConvergenceWarning, match="after 1 updates, by Ctrl-C"):
        model = small(**options).fit(*chirp)
    assert np.isfinite(model.predict(chirp[0])).all()


def test_the_time_before_the_first_update_counts(chirp, monkeypatch):
    prepare = skinr.regressor.prepare

    def slow(*args, **kwargs):
        sleep(0.2)
        return prepare(*args, **kwargs)

    monkeypatch.setattr(skinr.regressor, "prepare", slow)
    with pytest.warns(ConvergenceWarning, match="after 1 updates, by max_time"):
        small(max_time=0.1).fit(*chirp)


@pytest.mark.parametrize(("n_rows", "n_learned"), [(64, 2), (200, 3)], ids=["last", "amid"])
def test_one_ctrl_c_ends_a_stream_and_keeps_what_it_has_learned(
    chirp, monkeypatch, n_rows, n_learned
):
    X, y = chirp
    options = {"batch_size": 64, "learning_rate_init": 1e-3}
    model = small(**options).partial_fit(X[:64], y[:64])
    interrupt_after(monkeypatch, n_learned - 1, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X[:n_rows], y[:n_rows])
    assert model.n_iter_ == n_learned
    assert np.isfinite(model.partial_fit(X[:64], y[:64]).predict(X)).all()


def test_a_failed_fit_leaves_the_earlier_one(chirp, monkeypatch):
    X, y = chirp
    model = small().fit(X, y)
    expected = model.predict(X)

    def out_of_memory(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(skinr.solve, "train", out_of_memory)
    with pytest.raises(MemoryError):
        model.fit(100 * X, (100 * y).astype(np.float32)[:, None])
    np.testing.assert_array_equal(model.predict(X), expected)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_first_fit_that_fails_leaves_nothing(chirp, monkeypatch, method):
    def out_of_memory(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(skinr.solve, "train", out_of_memory)
    model = small()
    with pytest.raises(MemoryError):
        getattr(model, method)(*chirp)
    with pytest.raises(NotFittedError):
        model.predict(chirp[0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_warning_that_is_an_error_leaves_the_fit(chirp, method):
    model = small(learning_rate_init=1e3, batch_size=4)
    with pytest.raises(ConvergenceWarning):
        getattr(model, method)(*chirp)
    assert model.predict(chirp[0]).shape == chirp[1].shape


@pytest.mark.parametrize(
    ("parameters", "weight"), [({"device": "nope"}, None), ({}, -1), ({"solver": "lm"}, None)]
)
def test_a_fit_that_is_refused_leaves_the_earlier_one(chirp, parameters, weight):
    X, y = chirp
    model = small(early_stopping=True).fit(pd.DataFrame({"time": X[:, 0]}), y)
    expected = model.predict(pd.DataFrame({"time": X[:, 0]}))
    wide, weight = np.c_[X, X], None if weight is None else np.full(len(X), weight)
    with pytest.raises(ValueError, match=r"nope|sample_weight|lm"):
        model.set_params(**parameters).fit(wide, y, sample_weight=weight)
    np.testing.assert_array_equal(model.predict(pd.DataFrame({"time": X[:, 0]})), expected)


@pytest.mark.parametrize("column", ["X", "y"])
def test_a_stream_that_begins_with_a_constant_says_so(chirp, column):
    X, y = chirp
    first = (np.zeros_like(X), y) if column == "X" else (X, np.zeros_like(y))
    model = small().partial_fit(*first)
    with pytest.warns(UserWarning, match=f"^{column} was constant") as warned:
        model.partial_fit(X, y)
    assert warned[0].filename == __file__


def test_a_constant_of_another_precision_is_the_same(chirp):
    X, y = chirp
    X = np.c_[X, np.full(len(X), 0.1)]
    model = small().partial_fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(X.astype(np.float32), y)


@pytest.mark.slow
def test_long_doubles(chirp):
    X, y = chirp
    regressor = SirenRegressor((8,), max_iter=20, random_state=0)
    expected = regressor.fit(X, y).predict(X)
    model = regressor.fit(X.astype(np.longdouble), np.longdouble(y))
    np.testing.assert_array_equal(model.predict(X), expected)


BAD_DATA = {
    "NaN in X": ([[np.nan], [1.0]], [0.0, 1.0], "NaN"),
    "infinite y": ([[0.0], [1.0]], [0.0, np.inf], "infinity"),
    "no rows": (np.empty((0, 1)), np.empty(0), "0 sample"),
    "no columns": (np.empty((2, 0)), [0.0, 1.0], "0 feature"),
    "lengths": ([[0.0], [1.0]], [0.0], "inconsistent numbers of samples"),
    "one dimension": ([0.0, 1.0], [0.0, 1.0], "Expected 2D array"),
    "three dimensions": (np.zeros((2, 2, 2)), [0.0, 1.0], "dim"),
    "complex": ([[0.0], [1.0]], [1j, 0.0], "omplex"),
    "text in X": ([["a"], ["b"]], [0.0, 1.0], "convert"),
    "None in y": ([[0.0], [1.0]], [0.0, None], "NaN"),
    "None in an object y": ([[0.0], [1.0]], np.array([0.0, None]), "NaN"),
    "text in y": ([[0.0], [1.0]], np.array(["a", "b"]), "real numbers"),
    "y of three dimensions": ([[0.0], [1.0]], np.zeros((2, 1, 1)), "dim"),
}


@pytest.mark.parametrize(("X", "y", "message"), BAD_DATA.values(), ids=BAD_DATA)
def test_bad_data(X, y, message):
    with pytest.raises(ValueError, match=message):
        small().fit(X, y)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_sparse_input(method):
    dense, sparse = [[0.0], [1.0]], csr_matrix([[0.0], [1.0]])
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        getattr(small(), method)(sparse, [0.0, 1.0])
    with pytest.raises(TypeError, match="y is sparse; a dense array is accepted"):
        getattr(small(), method)(dense, sparse)


def test_another_number_of_features(chirp):
    X, y = chirp
    with pytest.raises(ValueError, match="2 features"):
        small(max_iter=5).fit(X, y).predict(np.column_stack([X, X]))


@pytest.mark.parametrize("weight", [[-1.0, 1.0], [0.0, 0.0], [np.nan, 1.0], [1.0]], ids=str)
def test_bad_weights(weight):
    with pytest.raises(ValueError, match="weight"):
        small().fit([[0.0], [1.0]], [0.0, 1.0], sample_weight=weight)


BAD_PARAMETERS = [
    {"omega_0": 0},
    {"omega_0": -1.0},
    {"omega_0": np.nan},
    {"omega_0": np.inf},
    {"omega_0": "high"},
    {"omega_0": None},
    {"hidden_omega_0": 0},
    {"hidden_layer_sizes": "wide"},
    {"hidden_layer_sizes": ()},
    {"hidden_layer_sizes": (8, 0)},
    {"hidden_layer_sizes": 0},
    {"hidden_layer_sizes": (8.5,)},
    {"hidden_layer_sizes": ((8, 8),)},
    {"hidden_layer_sizes": [[8], [8, 8]]},
    {"hidden_layer_sizes": [True]},
    {"hidden_layer_sizes": 10**9},
    {"weight_scale": 0.0},
    {"output_activation": "relu"},
    {"first_layer_init": "zeros"},
    {"solver": "sgd"},
    {"learning_rate": "adaptive"},
    {"learning_rate_init": 0.0},
    {"beta_1": 1.0},
    {"beta_2": -0.1},
    {"loss": "poisson"},
    {"alpha": -1.0},
    {"batch_size": 0},
    {"max_iter": 0},
    {"max_iter": 10**12},
    {"validation_fraction": 1.0},
    {"n_iter_no_change": 0},
    {"tol": -1.0},
    {"tol": 1e31},
    {"device": 3},
    {"device": "abacus"},
    {"device": "cuda:99"},
    {"device": "meta"},
]


@pytest.mark.parametrize("parameters", BAD_PARAMETERS, ids=str)
def test_bad_parameters(chirp, parameters):
    X, y = chirp
    (name,) = parameters
    model = SirenRegressor(**parameters)
    with pytest.raises((ValueError, TypeError), match=name):
        model.fit(X, y)
    assert not hasattr(model, "network_")


def test_early_stopping_needs_two_rows():
    with pytest.raises(ValueError, match="n_samples = 1"):
        small(early_stopping=True).fit([[1.0]], [1.0])
    with pytest.raises(ValueError, match=r"validation_fraction=0.9.*of 5"):
        small(early_stopping=True, validation_fraction=0.9).fit(np.eye(5), np.arange(5))


def test_early_stopping_may_never_stop(chirp):
    model = small(early_stopping=True, n_iter_no_change=10**30, max_iter=20).fit(*chirp)
    assert model.n_iter_ == 20


def test_verbose_is_quiet_where_there_is_no_terminal(chirp, capfd):
    X, y = chirp
    small(verbose=True, max_iter=20).fit(X, y)
    assert capfd.readouterr() == ("", "")


def test_verbose_shows_loss_and_time_on_a_terminal(chirp, monkeypatch):
    X, y = chirp
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", screen)
    small(verbose=True).fit(X, y)
    assert "200/200" in screen.getvalue()
    assert "loss=" in screen.getvalue()


def test_verbose_counts_the_steps_of_least_squares(chirp, monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", screen)
    model = SirenRegressor((8, 8), omega_0=5, verbose=True, random_state=0).fit(*chirp)
    assert f"{model.n_iter_}update" in screen.getvalue()


def test_verbose_without_tqdm_warns_and_fits(chirp, monkeypatch):
    X, y = chirp
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.warns(UserWarning, match=r"skinr\[progress\]") as warned:
        model = small(verbose=True, max_iter=20).fit(X, y)
    assert warned[0].filename == __file__
    assert model.n_iter_ == 20


def test_a_read_only_memory_map_is_fitted(tmp_path):
    rows = np.memmap(tmp_path / "rows", np.float64, "w+", shape=(50_000, 2))
    rows[:] = np.random.default_rng(0).uniform(0, 1, rows.shape)
    rows.flags.writeable = False
    y = np.sin(3 * rows.sum(axis=1))
    assert small(max_iter=300).fit(rows, y).score(rows, y) > 0.99


@pytest.mark.parametrize("dtype", [np.float16, np.int32, np.uint8, bool])
def test_other_dtypes(dtype):
    X = np.arange(20).reshape(-1, 2).astype(dtype)
    y = np.arange(10).astype(dtype)
    assert np.isfinite(small(max_iter=20).fit(X, y).predict(X)).all()


def test_no_warning_in_an_ordinary_fit(chirp):
    X, y = chirp
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small().fit(X, y).predict(X)


def test_a_piece_of_a_stream_has_weights(chirp):
    X, y = chirp
    weight = np.tile([1.0, 0.0], 100)
    weighted = small().partial_fit(X, np.where(weight > 0, y, 99.0), sample_weight=weight)
    np.testing.assert_array_equal(
        weighted.predict(X), small().partial_fit(X[weight > 0], y[weight > 0]).predict(X)
    )


def test_the_score_counts_weights(chirp):
    X, y = chirp
    weight = np.arange(200.0)
    model = small(max_iter=20).fit(X, y)
    assert model.score(X, y, weight) == r2_score(y, model.predict(X), sample_weight=weight)


@pytest.mark.parametrize("distance", [1e3, -1e5])
def test_a_far_row_squeezes_no_others(distance):
    random = np.random.default_rng(0)
    X, new = random.uniform(-1, 1, (60, 1)), random.uniform(-1, 1, (500, 1))
    X[0] = distance
    y = np.sin(8 * X[:, 0]) + 0.1 * random.standard_normal(60)
    model = SirenRegressor((32, 32), random_state=0).fit(X, y)
    assert model.score(new, np.sin(8 * new[:, 0])) > 0.98
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.slow
def test_the_absolute_error_leaves_outliers_alone(chirp):
    X, y = chirp
    wrong = np.where(np.random.default_rng(0).uniform(size=200) < 0.1, y + 3, y)
    robust = SirenRegressor((64, 64, 64), loss="absolute_error", random_state=0).fit(X, wrong)
    squared = SirenRegressor((64, 64, 64), solver="adam", random_state=0).fit(X, wrong)
    assert 1 - robust.score(X, y) < 0.5 * (1 - squared.score(X, y))


@pytest.mark.parametrize("value", [1e39, 1e-40])
@pytest.mark.parametrize(
    "name", ["omega_0", "hidden_omega_0", "weight_scale", "learning_rate_init"]
)
def test_parameters_that_float32_has_no_room_for_are_refused_by_name(chirp, name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        SirenRegressor(**{name: value}).fit(*chirp)


def test_a_warm_start_predicts_in_the_form_of_the_latest_targets(chirp):
    X, y = chirp
    model = small(max_iter=5, warm_start=True).fit(X, y)
    assert model.fit(X, y[:, None]).predict(X).shape == (200, 1)
    assert model.fit(X, y.astype(np.float32)).predict(X).dtype == np.float32
    assert model.partial_fit(X, y).predict(X).dtype == np.float64


def test_a_divergence_that_was_mended_leaves_a_best_score():
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (3000, 1))
    model = SirenRegressor(
        (16, 16),
        solver="adam",
        max_iter=100,
        batch_size=64,
        early_stopping=True,
        learning_rate="constant",
        learning_rate_init=1e20,
        random_state=0,
    )
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(X, np.sin(5 * X[:, 0]))
    assert np.isfinite(model.best_validation_score_)


@pytest.mark.parametrize("sizes", [range(16, 18), np.array([16, 17]), pd.Series([16, 17])])
def test_hidden_layer_sizes_of_any_sequence_can_be_saved(chirp, tmp_path, sizes):
    model = SirenRegressor(sizes, max_iter=5, random_state=0).fit(*chirp)
    model.save(tmp_path / "model")
    assert tuple(SirenRegressor.load(tmp_path / "model").hidden_layer_sizes) == (16, 17)
