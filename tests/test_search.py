import os
import pickle
import signal
from contextlib import suppress
from time import sleep

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, StandardScaler
from sklearn.svm import SVR
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.parallel import Parallel, delayed

import skinr.groups
import skinr.problem
import skinr.regressor
import skinr.solve
import skinr.stacks
from skinr import SirenRegressor, SirenSearchCV
from skinr.fits import Fit

OMEGAS = {"omega_0": [1.0, 4.0, 12.0, 30.0]}


def small(**parameters):
    return SirenRegressor(
        **{
            "hidden_layer_sizes": (16, 16),
            "solver": "adam",
            "max_iter": 80,
            "random_state": 0,
            "learning_rate_init": 5e-3,
            **parameters,
        }
    )


@pytest.fixture
def stacks(monkeypatch):
    """The sizes of the stacks that are trained."""
    sizes = []

    def counting(rows, objective, *args, **kwargs):
        sizes.append(len(objective.stack))
        return train(rows, objective, *args, **kwargs)

    train = skinr.stacks.train
    monkeypatch.setattr(skinr.stacks, "train", counting)
    return sizes


def assert_same_search(search, reference):
    """Equal keys and ranks, and scores that are near."""
    assert search.best_params_ == reference.best_params_
    assert search.best_index_ == reference.best_index_
    assert search.n_splits_ == reference.n_splits_
    assert set(search.cv_results_) == set(reference.cv_results_)
    assert search.cv_results_["params"] == reference.cv_results_["params"]
    for name, column in reference.cv_results_.items():
        if name.startswith(("rank_", "param_")):
            np.testing.assert_array_equal(search.cv_results_[name], column)
        elif "_score" in name and "time" not in name:
            np.testing.assert_allclose(search.cv_results_[name], column, rtol=1e-3, atol=1e-3)


@parametrize_with_checks([SirenSearchCV(small(), {"omega_0": [2.0, 5.0]}, cv=2)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        SirenSearchCV(
            make_pipeline(StandardScaler(), small(omega_0=5.0, max_iter=40)),
            {"sirenregressor__alpha": [0.0, 1e-5]},
            cv=2,
            racing=True,
        )
    ]
)
def test_scikit_learns_checks_of_a_race_among_pipelines(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "grid",
    [
        OMEGAS,
        {"learning_rate_init": [3e-3, 1e-2, "auto"], "alpha": [0.0, 1e-3]},
        {"weight_scale": [1.0, 2.0], "hidden_omega_0": [None, 10.0]},
        {"normalize_y": [True, False], "normalize_X": [True, False]},
        [{"omega_0": [2.0, 5.0]}, {"omega_0": [5.0], "random_state": [1, 2]}],
    ],
    ids=["omega_0", "rates and penalties", "weights", "units", "a list of grids"],
)
@pytest.mark.parametrize("batch_size", ["auto", 20], ids=["whole", "mini-batches"])
def test_one_stack_ranks_and_scores_as_grid_search_does(chirp, stacks, grid, batch_size):
    options = {"cv": KFold(3, shuffle=True, random_state=0), "return_train_score": True}
    regressor = small(batch_size=batch_size, device="cpu")
    search = SirenSearchCV(regressor, grid, **options).fit(*chirp)
    reference = GridSearchCV(regressor, grid, **options).fit(*chirp)
    assert_same_search(search, reference)
    assert stacks == [3 * len(reference.cv_results_["params"])]
    np.testing.assert_array_equal(search.predict(chirp[0]), reference.predict(chirp[0]))
    assert search.score(*chirp) == reference.score(*chirp)


@pytest.mark.parametrize(
    ("grid", "sizes"),
    [
        ({"hidden_layer_sizes": [8, (8, 8)], "omega_0": [2.0, 5.0]}, [6, 6]),
        ({"max_iter": [50, 100]}, [3, 3]),
        ({"loss": ["huber", "squared_error"], "omega_0": [2.0, 5.0, 9.0]}, [9, 9]),
        ({"early_stopping": [True, False]}, [3]),
        ([{"max_time": [1e6], "omega_0": [2.0]}, {"omega_0": [5.0]}], [3]),
    ],
)
def test_what_cannot_share_a_stack_is_grouped_or_fitted_alone(chirp, stacks, grid, sizes):
    search = SirenSearchCV(small(), grid, cv=3).fit(*chirp)
    assert_same_search(search, GridSearchCV(small(), grid, cv=3).fit(*chirp))
    assert stacks == sizes


def test_large_grids_make_several_groups(chirp, stacks, monkeypatch):
    monkeypatch.setattr(skinr.groups, "CPU_GROUP_SIZE", 7)
    SirenSearchCV(small(max_iter=20, device="cpu"), OMEGAS, cv=3).fit(*chirp)
    assert stacks == [6, 6]


def test_the_time_of_a_fit_is_its_share_of_that_of_its_group(chirp, monkeypatch):
    train = skinr.stacks.train

    def slow(*args, **kwargs):
        sleep(0.6)
        return train(*args, **kwargs)

    monkeypatch.setattr(skinr.stacks, "train", slow)
    search = SirenSearchCV(small(max_iter=1), {"omega_0": [2.0, 5.0]}, cv=3).fit(*chirp)
    assert search.cv_results_["mean_fit_time"].min() >= 0.1


@pytest.mark.parametrize("batch_size", ["auto", 20])
def test_folds_of_different_sizes_and_repeated_rows(chirp, stacks, batch_size):
    X, y = chirp
    X, y = np.r_[X[:101], X[:10]], np.r_[y[:101], y[:10]]
    regressor = small(batch_size=batch_size, device="cpu")
    search = SirenSearchCV(regressor, OMEGAS, cv=4).fit(X, y)
    assert_same_search(search, GridSearchCV(regressor, OMEGAS, cv=4).fit(X, y))
    assert stacks == [16]


def test_a_pipeline_is_transformed_fold_by_fold(chirp, stacks):
    pipe = make_pipeline(QuantileTransformer(n_quantiles=20), small())
    grid = {
        "sirenregressor__omega_0": [2.0, 8.0],
        "quantiletransformer__n_quantiles": [10, 50],
    }
    X = pd.DataFrame(chirp[0], columns=["time"])
    search = SirenSearchCV(pipe, grid, cv=3).fit(X, chirp[1])
    assert_same_search(search, GridSearchCV(pipe, grid, cv=3).fit(X, chirp[1]))
    assert stacks == [12]
    assert type(search.best_estimator_[-1]) is SirenRegressor
    assert search.feature_names_in_ == ["time"]


def test_a_step_that_differs_from_fit_to_fit_costs_time_only(chirp):
    jitter = FunctionTransformer(lambda X: X + np.random.default_rng().normal(0, 1e-9, X.shape))
    pipe = make_pipeline(jitter, small(max_iter=20))
    grid = {"sirenregressor__omega_0": [1.0, 20.0]}
    with pytest.warns(UserWarning, match=r"other rows.*random_state") as warned:
        search = SirenSearchCV(pipe, grid, cv=3).fit(*chirp)
    assert len(warned) == 1
    assert_same_search(search, GridSearchCV(pipe, grid, cv=3).fit(*chirp))


def test_another_regressor_as_a_candidate(chirp, stacks):
    pipe = make_pipeline(StandardScaler(), small())
    grid = {"sirenregressor": [SVR(), small(omega_0=5.0, max_iter=150)]}
    search = SirenSearchCV(pipe, grid, cv=3).fit(*chirp)
    assert_same_search(search, GridSearchCV(pipe, grid, cv=3).fit(*chirp))
    assert isinstance(search.best_estimator_[-1], SirenRegressor)


def test_it_refuses_what_does_not_end_in_a_siren(chirp):
    with pytest.raises(TypeError, match="must be a SirenRegressor or a Pipeline"):
        SirenSearchCV(SVR(), {"C": [1.0]}).fit(*chirp)


def test_distributions_are_drawn_as_randomized_search_draws_them(chirp):
    distributions = {"omega_0": loguniform(0.5, 50), "weight_scale": [1.0, 1.5]}
    options = {"n_iter": 5, "random_state": 3, "cv": 3}
    search = SirenSearchCV(small(), distributions, **options).fit(*chirp)
    assert_same_search(search, RandomizedSearchCV(small(), distributions, **options).fit(*chirp))


@pytest.mark.parametrize(
    ("scoring", "refit"),
    [
        ("neg_mean_absolute_error", True),
        (["r2", "neg_mean_absolute_error"], "neg_mean_absolute_error"),
        ({"a": "r2", "b": "neg_max_error"}, False),
        (lambda estimator, X, y: {"norm": -np.abs(estimator.predict(X) - y).max()}, "norm"),
        (None, lambda results: int(np.argmin(results["rank_test_score"]))),
    ],
    ids=["one", "several", "no refit", "a function", "refit by a function"],
)
def test_scores_and_refits(chirp, scoring, refit):
    options = {"scoring": scoring, "refit": refit, "cv": 3}
    search = SirenSearchCV(small(), OMEGAS, **options).fit(*chirp)
    reference = GridSearchCV(small(), OMEGAS, **options).fit(*chirp)
    for name in ("best_params_", "best_index_", "best_score_", "multimetric_", "scorer_"):
        assert hasattr(search, name) == hasattr(reference, name), name
    for name in [name for name in reference.cv_results_ if name.startswith(("mean_test", "rank"))]:
        np.testing.assert_allclose(search.cv_results_[name], reference.cv_results_[name], rtol=1e-3)
    if refit:
        assert_same_search(search, reference)
        assert search.score(*chirp) == reference.score(*chirp)


@pytest.mark.parametrize("refit", [True, "R2"])
def test_a_refit_that_names_none_of_several_scores_is_refused_before_training(chirp, stacks, refit):
    scoring = ["r2", "neg_mean_absolute_error"]
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        SirenSearchCV(small(), OMEGAS, scoring=scoring, refit=refit).fit(*chirp)
    assert stacks == []


def test_a_metric_that_is_no_scorer_is_refused_before_training(chirp, stacks):
    with pytest.raises(ValueError, match="metric function rather than a scorer"):
        SirenSearchCV(small(), OMEGAS, scoring=r2_score).fit(*chirp)
    assert stacks == []


def test_random_splits_are_drawn_once(chirp, stacks):
    splits = ShuffleSplit(3, random_state=np.random.RandomState(0))
    search = SirenSearchCV(small(), OMEGAS, cv=splits).fit(*chirp)
    splits = ShuffleSplit(3, random_state=np.random.RandomState(0))
    assert_same_search(search, GridSearchCV(small(), OMEGAS, cv=splits).fit(*chirp))
    assert stacks == [12]


def test_splits_that_can_be_read_once(chirp, stacks):
    splits = list(KFold(3).split(*chirp))
    search = SirenSearchCV(small(), OMEGAS, cv=iter(splits)).fit(*chirp)
    assert_same_search(search, GridSearchCV(small(), OMEGAS, cv=splits).fit(*chirp))
    assert stacks == [12]


@pytest.mark.parametrize("with_pipeline", [False, True])
def test_metadata_is_routed(chirp, stacks, with_pipeline):
    X, y = chirp
    metadata = {
        "sample_weight": np.random.default_rng(0).uniform(0, 2, len(X)),
        "groups": np.arange(len(X)) % 5,
    }
    with sklearn.config_context(enable_metadata_routing=True):
        regressor = small().set_fit_request(sample_weight=True)
        scorer = make_scorer(r2_score).set_score_request(sample_weight=True)
        options = {"cv": GroupKFold(3), "scoring": scorer}
        name = "omega_0"
        if with_pipeline:
            regressor = make_pipeline(StandardScaler(), regressor)
            regressor[0].set_fit_request(sample_weight=True)
            name = "sirenregressor__omega_0"
        grid = {name: OMEGAS["omega_0"]}
        search = SirenSearchCV(regressor, grid, **options).fit(X, y, **metadata)
        reference = GridSearchCV(regressor, grid, **options).fit(X, y, **metadata)
        unweighted = SirenSearchCV(regressor, grid, **options)
        unweighted.fit(X, y, groups=metadata["groups"])
    assert_same_search(search, reference)
    assert stacks == [12, 12]
    assert (
        search.cv_results_["mean_test_score"] != unweighted.cv_results_["mean_test_score"]
    ).all()


def test_weights_and_groups_without_routing(chirp, stacks):
    X, y = chirp
    metadata = {"sample_weight": np.linspace(0, 2, len(X)), "groups": np.arange(len(X)) % 5}
    search = SirenSearchCV(small(), OMEGAS, cv=GroupKFold(3)).fit(X, y, **metadata)
    assert_same_search(
        search, GridSearchCV(small(), OMEGAS, cv=GroupKFold(3)).fit(X, y, **metadata)
    )
    assert stacks == [12]


@pytest.mark.parametrize("kind", ["a function", "of a metric", "several"])
def test_a_race_is_judged_by_the_weights_that_its_scores_have(chirp, kind):
    seen = []

    def metric(y_true, y_pred, sample_weight=None):
        seen.append(sample_weight is not None)
        return r2_score(y_true, y_pred, sample_weight=sample_weight)

    def scorer(estimator, X, y, sample_weight=None):
        return metric(y, estimator.predict(X), sample_weight)

    scoring = {
        "a function": scorer,
        "of a metric": make_scorer(metric),
        "several": {"own": make_scorer(metric), "other": "neg_max_error"},
    }[kind]
    refit = "own" if kind == "several" else True
    search = SirenSearchCV(small(), OMEGAS, scoring=scoring, refit=refit, cv=2, racing=True)
    search.fit(*chirp, sample_weight=np.linspace(0, 2, 200))
    assert len(seen) > 2 * len(OMEGAS["omega_0"])
    assert len(set(seen)) == 1


@pytest.mark.slow
def test_derivatives_are_fitted_one_by_one(chirp, stacks):
    X, y = chirp
    slopes = np.gradient(y, X[:, 0])[:, None]
    search = SirenSearchCV(small(), OMEGAS, cv=3).fit(X, y, gradient=slopes)
    assert_same_search(search, GridSearchCV(small(), OMEGAS, cv=3).fit(X, y, gradient=slopes))
    assert stacks == []


@pytest.mark.parametrize("bad", [{"omega_0": [-1.0, 2.0]}, {"hidden_layer_sizes": ["wide", 16]}])
def test_a_failing_candidate_takes_nothing_with_it(chirp, bad):
    with pytest.warns(FitFailedWarning, match="3 fits failed"):
        search = SirenSearchCV(small(), bad, cv=3).fit(*chirp)
    assert np.isnan(search.cv_results_["mean_test_score"][0])
    assert search.best_index_ == 1
    with pytest.raises(ValueError, match=r"omega_0|hidden_layer_sizes"):
        SirenSearchCV(small(), bad, cv=3, error_score="raise").fit(*chirp)


@pytest.fixture
def failing_training(monkeypatch):
    """After the tenth update a network of omega_0=5.0 fails, alone and in a stack."""
    train = skinr.stacks.train

    def failing(rows, objective, optimizer, rates, **kwargs):
        if 5.0 in objective.stack.omega_0 and len(rates) > 10:
            raise RuntimeError("too large")
        return train(rows, objective, optimizer, rates, **kwargs)

    monkeypatch.setattr(skinr.stacks, "train", failing)
    monkeypatch.setattr(skinr.solve, "train", failing)


@pytest.mark.usefixtures("failing_training")
@pytest.mark.parametrize("racing", [False, True])
def test_a_candidate_that_fails_in_training_takes_nothing_with_it(chirp, racing):
    grid = {"omega_0": [11.0, 11.5, 5.0, 12.0]}
    search = SirenSearchCV(small(), grid, cv=3, racing=racing)
    with pytest.warns(FitFailedWarning, match=r"3 fits failed[\s\S]*too large"):
        results = search.fit(*chirp).cv_results_
    with pytest.warns(FitFailedWarning, match="3 fits failed"):
        reference = GridSearchCV(small(), grid, cv=3).fit(*chirp)
    assert search.best_params_ == reference.best_params_
    assert results["rank_test_score"][2] == 4
    kept = results.pop("dropped", np.zeros(4, bool)) == 0
    np.testing.assert_allclose(
        results["mean_test_score"][kept],
        reference.cv_results_["mean_test_score"][kept],
        atol=1e-5,
    )


@pytest.mark.usefixtures("failing_training")
@pytest.mark.parametrize("racing", [False, True])
def test_all_candidates_fail_in_training(chirp, racing):
    search = SirenSearchCV(small(), {"omega_0": [5.0]}, cv=3, racing=racing)
    with pytest.raises(ValueError, match=r"All the 3 fits failed[\s\S]*too large"):
        search.fit(*chirp)
    with pytest.raises(RuntimeError, match="too large"):
        search.set_params(error_score="raise").fit(*chirp)


@pytest.mark.filterwarnings("error:Training diverged", "ignore:(.|\n)*2 fits failed")
def test_a_warning_that_is_an_error_is_one_of_its_candidate(chirp):
    search = SirenSearchCV(small(), {"learning_rate_init": [1e-3, 1.0]}, cv=2).fit(*chirp)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]


def test_errors_that_are_to_be_raised_are_raised_before_training(chirp, stacks):
    search = SirenSearchCV(small(), {"omega_0": [2.0, -1.0]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="omega_0"):
        search.fit(*chirp)
    pipe = make_pipeline(PCA(), small())
    search = SirenSearchCV(pipe, {"pca__n_components": [1, 2]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="n_components=2"):
        search.fit(*chirp)
    assert stacks == []


def test_a_failing_transformer_takes_nothing_with_it(chirp):
    pipe = make_pipeline(PCA(), small())
    with pytest.warns(FitFailedWarning, match="2 fits failed"):
        search = SirenSearchCV(pipe, {"pca__n_components": [1, 2]}, cv=2).fit(*chirp)
    assert search.best_params_ == {"pca__n_components": 1}


def test_all_candidates_fail(chirp):
    with pytest.raises(ValueError, match="All the 6 fits failed"):
        SirenSearchCV(small(), {"omega_0": [-1.0, -2.0]}, cv=3).fit(*chirp)


@pytest.mark.slow
def test_racing_keeps_the_choice_and_says_what_it_dropped(chirp, stacks):
    grid = {"omega_0": [0.01, 1.0, 5.0, 10.0, 50.0, 200.0]}
    regressor = small(max_iter=400)
    search = SirenSearchCV(regressor, grid, cv=3, racing=True).fit(*chirp)
    reference = GridSearchCV(regressor, grid, cv=3).fit(*chirp)
    assert search.best_params_ == reference.best_params_
    dropped = search.cv_results_["dropped"]
    assert 2 <= dropped.sum() < 6
    assert stacks == sorted(stacks, reverse=True)
    assert (stacks[0], stacks[-1]) == (18, 3 * (6 - dropped.sum()))
    ranks = search.cv_results_["rank_test_score"]
    assert sorted(ranks) == [1, 2, 3, 4, 5, 6]
    assert ranks[~dropped].max() < ranks[dropped].min()
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"][~dropped],
        reference.cv_results_["mean_test_score"][~dropped],
        atol=1e-5,
    )


@pytest.mark.filterwarnings("ignore:Training diverged")
@pytest.mark.parametrize("batch_size", ["auto", 50])
@pytest.mark.parametrize("learning_rate_init", [1e-2, 1.0], ids=["converges", "diverges"])
def test_a_race_looks_on_and_changes_nothing(chirp, stacks, batch_size, learning_rate_init):
    options = {"batch_size": batch_size, "learning_rate_init": learning_rate_init}
    regressor = small(max_iter=150, **options)
    scores = []
    for racing in (False, True):
        search = SirenSearchCV(regressor, {"alpha": [0.0]}, cv=3, racing=racing, refit=False)
        scores.append(search.fit(*chirp).cv_results_["mean_test_score"])
    assert len(stacks) == 1 + 10
    np.testing.assert_array_equal(*scores)


def test_candidates_that_are_the_same_are_dropped_together(chirp):
    grid = [{"omega_0": [200.0, 12.0]}, {"omega_0": [200.0]}]
    search = SirenSearchCV(small(max_iter=400), grid, cv=3, racing=True).fit(*chirp)
    assert search.cv_results_["dropped"].tolist() == [True, False, True]
    assert search.cv_results_["rank_test_score"].tolist() == [2, 1, 2]


@pytest.mark.parametrize("racing", [False, True])
def test_fits_without_a_random_state_are_each_on_their_own(chirp, stacks, racing):
    states = [None, 0, np.random.RandomState(1), None, 0, np.random.RandomState(1)]
    search = SirenSearchCV(small(max_iter=20), {"random_state": states}, cv=3, racing=racing)
    scores = search.fit(*chirp).cv_results_["mean_test_score"]
    assert stacks[0] == 3 * 4
    assert scores[0] != scores[3]
    np.testing.assert_array_equal(scores[[1, 2]], scores[[4, 5]])
    reference = GridSearchCV(small(max_iter=20), {"random_state": states}, cv=3).fit(*chirp)
    scores = reference.cv_results_["mean_test_score"]
    assert scores[0] != scores[3]
    np.testing.assert_array_equal(scores[[1, 2]], scores[[4, 5]])


@pytest.mark.slow
@pytest.mark.parametrize(
    "regressor",
    [small(solver="lm", max_iter=8), small(early_stopping=True)],
    ids=["least squares", "early stopping"],
)
def test_of_fits_that_go_alone_the_better_half_of_a_race_goes_on_to_the_next_fold(
    chirp, monkeypatch, regressor
):
    fitted = []

    def counting(regressor, *args):
        fitted.append(regressor.omega_0)
        return solve(regressor, *args)

    solve = SirenRegressor._solve
    monkeypatch.setattr(SirenRegressor, "_solve", counting)
    grid = {"omega_0": [0.01, 1.0, 5.0, 12.0, 60.0, 200.0]}
    options = {"cv": 3, "return_train_score": True, "refit": False}
    results = SirenSearchCV(regressor, grid, racing=True, **options).fit(*chirp).cv_results_
    assert len(fitted) == 6 + 3 + 2
    reference = GridSearchCV(regressor, grid, **options).fit(*chirp).cv_results_
    n_done = np.array([fitted[:11].count(omega_0) for omega_0 in grid["omega_0"]])
    assert sorted(n_done) == [1, 1, 1, 2, 3, 3]
    np.testing.assert_array_equal(results["dropped"], n_done < 3)
    for kind in ("test", "train"):
        scores = np.stack([results[f"split{fold}_{kind}_score"] for fold in range(3)], axis=1)
        expected = np.stack([reference[f"split{fold}_{kind}_score"] for fold in range(3)], axis=1)
        expected[np.arange(3) >= n_done[:, None]] = np.nan
        np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(results[f"mean_{kind}_score"], np.nanmean(scores, axis=1))
        np.testing.assert_allclose(results[f"std_{kind}_score"], np.nanstd(scores, axis=1))
    assert np.argmin(results["rank_test_score"]) == np.argmax(reference["mean_test_score"])
    ranks = results["rank_test_score"]
    assert ranks[n_done == 3].max() < ranks[n_done < 3].min()


def test_candidates_that_fail_lose_a_race(chirp):
    grid = {"omega_0": [5.0, 12.0, -1.0], "solver": ["lm"]}
    with pytest.warns(FitFailedWarning):
        search = SirenSearchCV(small(max_iter=8), grid, cv=3, racing=True).fit(*chirp)
    assert search.cv_results_["dropped"][2]
    assert search.cv_results_["rank_test_score"][2] == 3
    assert np.isnan(search.cv_results_["mean_test_score"][2])


def test_candidates_that_fail_rank_behind_those_that_a_race_drops(chirp):
    search = SirenSearchCV(small(max_iter=400), {"omega_0": [-1.0, 5.0, 200.0]}, cv=3, racing=True)
    with pytest.warns(FitFailedWarning):
        search.fit(*chirp)
    assert search.cv_results_["dropped"].tolist() == [False, False, True]
    assert search.cv_results_["rank_test_score"].tolist() == [3, 1, 2]


def test_a_race_warns_once_of_a_divergence(chirp):
    search = SirenSearchCV(small(), {"learning_rate_init": [1.0]}, cv=2, racing=True, refit=False)
    with pytest.warns(ConvergenceWarning, match="diverged") as warned:
        search.fit(*chirp)
    assert len(warned) == search.n_splits_


def test_racing_goes_by_the_score_that_refit_names(chirp):
    scoring = {"good": "r2", "bad": lambda estimator, X, y: -estimator.score(X, y)}
    chosen = [
        SirenSearchCV(small(), OMEGAS, cv=3, racing=True, scoring=scoring, refit=refit)
        .fit(*chirp)
        .best_params_["omega_0"]
        for refit in scoring
    ]
    assert chosen[0] == 12.0
    assert chosen[1] != 12.0
    with pytest.raises(ValueError, match="refit must name it"):
        SirenSearchCV(small(), OMEGAS, racing=True, scoring=scoring, refit=False).fit(*chirp)


def fails_for_the_best(estimator, X, y):
    if estimator.omega_0 == 12.0:
        raise ValueError("no score")
    return 0.0


def test_a_race_goes_on_for_whom_another_score_than_its_own_fails(chirp):
    scoring = {"good": "r2", "bad": fails_for_the_best}
    options = {"cv": 3, "racing": True}
    search = SirenSearchCV(small(), OMEGAS, scoring=scoring, refit="good", **options)
    with pytest.warns(UserWarning, match="Scoring failed"):
        search.fit(*chirp)
    alone = SirenSearchCV(small(), OMEGAS, scoring="r2", **options).fit(*chirp)
    assert search.best_params_ == alone.best_params_ == {"omega_0": 12.0}
    np.testing.assert_array_equal(search.cv_results_["dropped"], alone.cv_results_["dropped"])


@pytest.mark.parametrize("solver", ["adam", "lm"])
@pytest.mark.parametrize("refit", [True, "NORM", lambda _: 0], ids=["yes", "typo", "function"])
def test_a_race_by_a_scorer_of_several_scores_says_that_refit_must_name_one(chirp, solver, refit):
    search = SirenSearchCV(small(solver=solver), OMEGAS, cv=2, racing=True, refit=refit)
    search.set_params(scoring=lambda estimator, X, y: {"norm": 1.0, "r2": estimator.score(X, y)})
    with pytest.raises(ValueError, match="refit must name it"):
        search.fit(*chirp)


def test_a_fitted_search_is_pickled_and_cloned(chirp):
    search = SirenSearchCV(small(), OMEGAS, cv=3).fit(*chirp)
    restored = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(restored.predict(chirp[0]), search.predict(chirp[0]))
    assert len(pickle.dumps(search)) < 2 * len(pickle.dumps(search.best_estimator_)) + 10_000
    assert not hasattr(clone(search), "best_params_")


def test_a_search_is_an_estimator_of_other_searches(chirp):
    search = SirenSearchCV(small(), {"omega_0": [1.0, 12.0]}, cv=2)
    scores = cross_val_score(search, *chirp, cv=KFold(2, shuffle=True, random_state=0), n_jobs=2)
    assert scores.min() > 0.9


@pytest.mark.parametrize("n_jobs", [2, -1])
def test_workers_do_what_one_process_does(chirp, n_jobs):
    grid = {"omega_0": [1.0, 12.0, 30.0], "early_stopping": [False, True]}
    search = SirenSearchCV(small(), grid, cv=3, n_jobs=n_jobs).fit(*chirp)
    assert_same_search(search, SirenSearchCV(small(), grid, cv=3).fit(*chirp))


@pytest.mark.parametrize("search_class", [GridSearchCV, SirenSearchCV])
def test_a_failing_candidate_takes_no_worker_with_it(chirp, search_class):
    grid = {"omega_0": [-1.0, 5.0, 10.0]}
    with pytest.warns(FitFailedWarning, match="2 fits failed"):
        search = search_class(small(), grid, cv=2, n_jobs=2).fit(*chirp)
    assert np.isnan(search.cv_results_["mean_test_score"][0])
    assert search.best_params_["omega_0"] > 0


def is_file(fits):
    return isinstance(fits[0].arguments["X"], np.memmap)


def test_workers_read_large_rows_from_one_file():
    fit = Fit(small(), {"X": np.zeros((300_000, 1)), "y": np.zeros(300_000)}, 0)
    assert Parallel(n_jobs=2)(delayed(is_file)([fit]) for _ in range(2)) == [True, True]


def test_fits_do_not_share_a_checkpoint(chirp, tmp_path):
    of_all = SirenSearchCV(small(checkpoint=tmp_path / "fit"), OMEGAS, cv=2)
    of_each = SirenSearchCV(small(), {"checkpoint": [None, tmp_path / "fit"]}, cv=2)
    steps = {"siren": [small(), small(checkpoint=tmp_path / "fit")]}
    of_a_step = SirenSearchCV(Pipeline([("siren", small())]), steps, cv=2)
    for search in (of_all, of_each, of_a_step):
        with pytest.raises(ValueError, match=r"checkpoint.*memory"):
            search.fit(*chirp)
    assert not list(tmp_path.iterdir())


def test_messages_are_about_the_regressor(chirp):
    search = SirenSearchCV(small(), {"omega_0": [-4.0]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="parameter of SirenRegressor must be"):
        search.fit(*chirp)


def test_a_signal_during_the_refit_ends_the_search(chirp, monkeypatch):
    train = skinr.solve.train

    def signalling(*args, **kwargs):
        signal.raise_signal(signal.SIGINT)
        return train(*args, **kwargs)

    monkeypatch.setattr(skinr.solve, "train", signalling)
    with pytest.raises(KeyboardInterrupt):
        SirenSearchCV(small(), OMEGAS, cv=2).fit(*chirp)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_interrupted_search_goes_on_from_its_cache(
    chirp, stacks, monkeypatch, tmp_path, early_stopping
):
    monkeypatch.setattr(skinr.groups, "CPU_GROUP_SIZE", 3)
    options = {"cv": 3, "memory": str(tmp_path)}
    regressor = small(early_stopping=early_stopping, device="cpu")
    search = SirenSearchCV(regressor, OMEGAS, **options)
    prepare, begun = skinr.problem.prepare, []

    def interrupted(regressor, *args, **kwargs):
        begun.append(regressor.omega_0)
        if len(begun) == 8:
            raise KeyboardInterrupt
        return prepare(regressor, *args, **kwargs)

    def counted(regressor, *args, **kwargs):
        begun.append(regressor.omega_0)
        return prepare(regressor, *args, **kwargs)

    monkeypatch.setattr(skinr.stacks, "prepare", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search.fit(*chirp)
    begun.clear()
    monkeypatch.setattr(skinr.stacks, "prepare", counted)
    monkeypatch.setattr(skinr.regressor, "prepare", counted)
    search.fit(*chirp)
    n_missing = 5 if early_stopping else 6
    assert begun == [12.0] * (n_missing - 3) + [30.0] * 3 + [search.best_params_["omega_0"]]
    reference = GridSearchCV(regressor, OMEGAS, cv=3).fit(*chirp)
    assert_same_search(search, reference)


@pytest.mark.parametrize("racing", [False, True])
def test_a_search_that_was_done_is_not_done_again(chirp, stacks, tmp_path, racing):
    pipe = make_pipeline(StandardScaler(), small())
    grid = {"sirenregressor__omega_0": OMEGAS["omega_0"]}
    search = SirenSearchCV(pipe, grid, cv=3, racing=racing, memory=str(tmp_path))
    search.fit(*chirp)
    assert stacks
    stacks.clear()
    search.fit(*chirp)
    assert stacks == []


def test_groups_that_were_done_are_found_by_a_search_of_more_candidates(chirp, stacks, tmp_path):
    options = {"cv": 2, "memory": str(tmp_path), "refit": False}
    grid = {"omega_0": [2.0, 5.0]}
    SirenSearchCV(small(), grid, **options).fit(*chirp)
    stacks.clear()
    SirenSearchCV(small(), [{"hidden_layer_sizes": [8]}, grid], **options).fit(*chirp)
    assert stacks == [2]


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("part", ["scorer", "step"])
def test_a_race_that_a_cache_cannot_know_again_is_refused(chirp, stacks, tmp_path, part, n_jobs):
    options = {"cv": 2, "memory": tmp_path, "n_jobs": n_jobs}
    if part == "scorer":
        options["scoring"] = lambda estimator, X, y: estimator.score(X, y)
    pipe = make_pipeline(FunctionTransformer((lambda X: X) if part == "step" else None), small())
    search = SirenSearchCV(pipe, {"sirenregressor__omega_0": [2.0, 5.0]}, racing=True, **options)
    with pytest.raises(ValueError, match=r"memory.*racing.*lambda.*module"):
        search.fit(*chirp)
    assert stacks == []
    search.set_params(racing=False).fit(*chirp)
    search.set_params(racing=True, memory=None).fit(*chirp)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_a_search_at_once_and_keeps_nothing_half_learned(chirp, tmp_path):
    endless = small(early_stopping=True, max_iter=1_000_000, n_iter_no_change=1_000_000)
    with pytest.raises(KeyboardInterrupt):
        SirenSearchCV(endless, OMEGAS, cv=3, memory=str(tmp_path)).fit(*chirp)
    assert not list(tmp_path.rglob("output.pkl"))


@pytest.fixture(scope="module")
def cluster():
    import dask
    from distributed import Client, LocalCluster

    with (
        # after 15 seconds it gives up a worker that is not back, or that is just lost once more
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 hour"}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.amm.stop()  # it deletes copies of what is scattered within two seconds
        yield client


class DiesOnce:
    """A function whose second call takes its worker with it."""

    def __init__(self, work, folder):
        self.work, self.folder = work, folder

    def __call__(self, *args, **kwargs):
        try:
            (self.folder / "first call").mkdir()
        except FileExistsError:
            with suppress(FileExistsError):
                (self.folder / "second call").mkdir()
                os._exit(1)
        return self.work(*args, **kwargs)


class Deadly:
    """A memory that keeps nothing, and loses a worker."""

    def __init__(self, folder):
        self.folder = folder

    def cache(self, function):
        return DiesOnce(function, self.folder)


class Mortal(TransformerMixin, BaseEstimator):
    """A step of a pipeline whose second fit takes its worker with it."""

    def __init__(self, folder):
        self.folder = folder

    def fit(self, X, y=None):
        return DiesOnce(lambda: self, self.folder)()

    def transform(self, X):
        return X


def assert_one_was_lost(cluster, before):
    cluster.wait_for_workers(2, timeout=60)
    assert len(before & set(cluster.run(os.getpid).values())) == 1


@pytest.mark.slow
def test_a_search_on_a_cluster_survives_the_loss_of_a_worker(chirp, cluster, tmp_path):
    before = set(cluster.run(os.getpid).values())
    regressor = small(max_iter=50)
    with joblib.parallel_config(backend="dask"):
        search = SirenSearchCV(regressor, OMEGAS, cv=3, memory=Deadly(tmp_path)).fit(*chirp)
    assert_same_search(search, GridSearchCV(regressor, OMEGAS, cv=3).fit(*chirp))
    assert_one_was_lost(cluster, before)


@pytest.mark.slow
def test_grid_search_on_a_cluster_survives_the_loss_of_a_worker(chirp, cluster, tmp_path):
    before = set(cluster.run(os.getpid).values())
    pipe = make_pipeline(Mortal(tmp_path), small(max_iter=50))
    grid = {"sirenregressor__omega_0": OMEGAS["omega_0"]}
    splits = list(KFold(3).split(*chirp))
    everywhere = [*chirp, *(part for split in splits for part in split)]
    with joblib.parallel_config(backend="dask", scatter=everywhere):
        search = GridSearchCV(pipe, grid, cv=splits).fit(*chirp)
    assert_same_search(search, GridSearchCV(pipe, grid, cv=splits).fit(*chirp))
    assert_one_was_lost(cluster, before)
