"""A search over parameters that trains the networks of one shape as one batch."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from itertools import chain
from numbers import Integral
from os import PathLike
from pickle import PicklingError
from typing import Any, ClassVar, NamedTuple, Self

import joblib
import numpy as np
from joblib import effective_n_jobs, parallel_config
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, _fit_context
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler, check_cv
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.parallel import Parallel, delayed

from skinr.checkpoint import refuse_checkpoints
from skinr.fits import Fit, names_no_score
from skinr.groups import Outcome, fit_group, make_groups
from skinr.interruption import parts_of_a_whole
from skinr.memory import cached
from skinr.regressor import SirenRegressor
from skinr.rehearsal import (
    Key,
    Keys,
    Rehearsal,
    StandIn,
    final_step,
    with_stand_in,
    without_stand_in,
)


class SirenSearchCV(GridSearchCV):
    """Search over parameters by cross-validation, the networks of one shape trained together.

    The interface and the results are those of
    :class:`~sklearn.model_selection.GridSearchCV` and
    :class:`~sklearn.model_selection.RandomizedSearchCV`. Many small networks train as one batch
    in less time than one after the other: all candidates and folds that agree in everything but
    `omega_0`, `hidden_omega_0`, `weight_scale`, `first_layer_init`, `learning_rate_init`,
    `alpha`, `normalize_X`, `normalize_y`, `random_state` and `verbose`. Those of another solver
    than "adam", those that need `early_stopping`, `max_time`, more than one of `n_estimators` or
    derivatives, and those of tables of more than 2**24 numbers are fitted one by one.

    Parameters
    ----------
    estimator : SirenRegressor or Pipeline that ends in one
        The transformers of a Pipeline are fitted to each training fold twice: for the training of
        the networks, and for their scores. Those that draw need a `random_state`, or the networks
        are trained twice as well.

    param_grid : dict or list of dict
        Parameter names and the values to try, as in `GridSearchCV`; with `n_iter` also
        distributions to draw from, as in `RandomizedSearchCV`.

    n_iter : int or None, default=None
        Number of candidates to draw; None tries the whole grid.

    scoring : str, callable, list, tuple or dict, default=None
        As in `GridSearchCV`.

    n_jobs : int or None, default=None
        Number of groups of networks that are trained at a time, by the joblib backend in use, as
        in `GridSearchCV`. A group has about 24 networks on a CPU and 1024 on a GPU, or fewer where
        that would leave workers idle. A worker divides it into stacks that its caches or the
        memory of its GPU hold, and halves a stack where memory runs out all the same. A stack has
        all of torch's threads, and fits that no stack does are shared out among up to four of
        them, so that one worker, this process, keeps the cores busy. Scores are computed in this
        process.

    refit : bool, str or callable, default=True
        As in `GridSearchCV`.

    cv : int, cross-validation generator or iterable, default=None
        As in `GridSearchCV`. It is asked for its splits once.

    verbose : int, default=0
        As in `GridSearchCV`.

    pre_dispatch : int or str, default="2*n_jobs"
        Number of groups that are handed to workers in advance.

    error_score : "raise" or float, default=np.nan
        As in `GridSearchCV`. "raise" raises a parameter of a wrong type or range before it trains.

    return_train_score : bool, default=False
        As in `GridSearchCV`.

    random_state : int, RandomState instance or None, default=None
        Of the draws where `n_iter` is given.

    racing : bool, default=False
        Whether to drop candidates that are losing to others of their group. In a stack all are
        scored every tenth of the updates; those go that, twice in a row, would not reach the mean
        score that the best one has, if they went on gaining at the pace of the last tenth to the
        end. Of those that are fitted one by one the better half goes on to the next fold.
        `cv_results_["dropped"]` marks the others; their scores are those of the moment, NaN for
        folds that they have not come to, and they rank behind, before what failed. Where scores
        are several, `refit` must name the one that counts.

    memory : str, path-like, joblib.Memory or None, default=None
        A folder that keeps what each group of fits has come to. A search that was interrupted, by
        Ctrl-C for instance, which ends it at once, trains the missing groups when it is run again.
        One of more candidates, or with another number of workers, may have other groups: those
        that are the same are not trained again.

    Attributes
    ----------
    cv_results_ : dict of ndarrays
        As in `GridSearchCV`. The time of a fit is its share of the time of its group.

    best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, \
            multimetric_, n_features_in_, feature_names_in_
        As in `GridSearchCV`.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : The same for any estimator, fit by fit.
    sklearn.model_selection.HalvingGridSearchCV : Drops candidates between fits of rising cost.

    Notes
    -----
    The scores, after a race those of what it kept, are those of `GridSearchCV`: on some CPUs to
    the bit, where the folds have equal numbers of rows and the candidates equal learning rates.
    Elsewhere float32 rounds differently, which training amplifies: to 1e-6 or so, but to 1e-2
    where `omega_0` is so high that the function oscillates between the rows.

    `GridSearchCV` can't cache the fits of its estimator; where a search is to be resumed, use
    `memory` here, also for fits that no stack does.

    On a cluster groups of fits are what joblib's backend carries to the workers::

        from dask.distributed import Client  # pip install 'skinr[dask]'

        with Client(scheduler), joblib.parallel_config(backend="dask"):
            search.fit(X, y)

    "ray" and "spark" register themselves likewise, by `ray.util.joblib.register_ray()` and
    `joblibspark.register_spark()`. A group whose worker is lost is done again by another. With
    `GridSearchCV` that is only so if each worker has all arrays, and keeps them:
    ``splits = list(cv.split(X, y))`` for its `cv`,
    ``joblib.parallel_config(backend="dask", scatter=[X, y, *itertools.chain(*splits)])``, and
    ``client.amm.stop()``, since dask else deletes copies of what it has not used for two seconds.

    A plan for a thousand candidates, five folds of 300 rows and the default network: 5000 fits
    make 200 groups of 25, each 20 s to 25 s on a core of today; 100 cores take two rounds, less
    than a minute. A group is sent the rows of its folds, some kilobytes, and sends back 5 MB of
    networks. This process holds them all, 1 GB, and takes 2 ms a fit to prepare and to score it,
    so it is busy for 10 s: from some 500 cores on it is what the rest waits for. `racing` about
    halves the work; fewer candidates, drawn with `n_iter`, do more. Tables of millions of rows
    are better searched on a part of the rows, since every group is sent its own.

    Examples
    --------
    >>> import numpy as np
    >>> from skinr import SirenRegressor, SirenSearchCV
    >>> X = np.linspace(0, 1, 90)[:, None]
    >>> y = np.sin(40 * X[:, 0] ** 2)
    >>> regressor = SirenRegressor((32, 32), solver="adam", max_iter=300, random_state=0)
    >>> search = SirenSearchCV(regressor, {"omega_0": [2.0, 8.0, 60.0]}, cv=3).fit(X, y)
    >>> search.best_params_
    {'omega_0': 8.0}
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **GridSearchCV._parameter_constraints,
        "n_iter": [None, Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "racing": ["boolean"],
        "memory": [None, str, PathLike, HasMethods(["cache"])],
    }

    def __init__(
        self,
        estimator: BaseEstimator,
        param_grid: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        n_iter: int | None = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[..., int] = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        error_score: float | str = np.nan,
        return_train_score: bool = False,
        random_state: int | np.random.RandomState | None = None,
        racing: bool = False,
        memory: str | PathLike[str] | joblib.Memory | None = None,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.n_iter = n_iter
        self.random_state = random_state
        self.racing = racing
        self.memory = memory

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike | None = None, **params: Any) -> Self:
        """Evaluate all candidates, and fit the best to all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
        **params : dict
            Passed to the estimator, the scorer and the splitter, as in `GridSearchCV`.

        Returns
        -------
        self : SirenSearchCV

        Raises
        ------
        TypeError
            If `estimator` is no SirenRegressor and no Pipeline that ends in one.
        ValueError
            For unusable parameters, or a `checkpoint`, which is for one fit; or if all fits fail,
            or with `error_score="raise"` one of them.
        """
        candidates = self._candidates()
        self._refuse_unusable(candidates)
        scorer = check_scoring(self.estimator, self._get_scorers()[0])
        search = copy(self)
        search.cv = _FixedSplits(check_cv(self.cv, y))
        if self.scoring is None:
            search.scoring = scorer
        rehearsal = search._rehearse(candidates, scorer, X, y, params)
        outcomes = self._train(rehearsal.fits)
        look_up = partial(_look_up, outcomes, set(outcomes), Keys())
        search.estimator = with_stand_in(self.estimator, look_up)
        search._trained = _Trained.collect(candidates, rehearsal.keys, outcomes)
        with parts_of_a_whole(), parallel_config(backend="sequential"):
            super(SirenSearchCV, search).fit(X, y, **params)
        fitted = {name: value for name, value in vars(search).items() if name.endswith("_")}
        if self.refit:
            fitted["best_estimator_"] = without_stand_in(fitted["best_estimator_"])
        self.__dict__.update(fitted)
        return self

    def __sklearn_tags__(self) -> Tags:
        """Return scikit-learn's tags of this estimator."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _refuse_unusable(self, candidates: list[dict[str, Any]]) -> None:
        """Raise an error for parameters that no fit can use."""
        if type(final_step(self.estimator)) is not SirenRegressor:
            raise TypeError(
                "estimator must be a SirenRegressor or a Pipeline that ends in one, and no derived "
                f"class; {self.estimator!r} given."
            )
        given = (candidate.items() for candidate in candidates)
        refuse_checkpoints(chain(self.estimator.get_params().items(), *given))
        has_several_scores = isinstance(self.scoring, list | tuple | dict)
        if self.racing and has_several_scores and not isinstance(self.refit, str):
            raise names_no_score(self.refit)

    def _rehearse(
        self,
        candidates: list[dict[str, Any]],
        scorer: Any,
        X: ArrayLike,
        y: ArrayLike | None,
        params: dict[str, Any],
    ) -> Rehearsal:
        """Collect the fits that all candidates ask for, without doing one."""
        rehearsal = Rehearsal(
            self.estimator,
            scorer,
            self.refit,
            with_judges=self.racing,
            error_score=self.error_score,
        )
        with parallel_config(backend="sequential"):
            for candidate in candidates:
                rehearsal.run(candidate, X, y, self.cv, params)
        return rehearsal

    def _candidates(self) -> list[dict[str, Any]]:
        if self.n_iter is None:
            return list(ParameterGrid(self.param_grid))
        return list(ParameterSampler(self.param_grid, self.n_iter, random_state=self.random_state))

    def _train(self, fits: dict[Key, Fit]) -> dict[Key, Outcome]:
        """Do the fits, group by group."""
        if self.memory is not None:
            _check_is_known_again(list(fits.values()))
        keys = list(fits)
        n_workers = effective_n_jobs(self.n_jobs)
        groups = make_groups(list(fits.values()), n_workers, racing=self.racing)
        do_group = cached(fit_group, self.memory)
        outcomes = Parallel(n_jobs=self.n_jobs, pre_dispatch=self.pre_dispatch)(
            delayed(do_group)(_renumber([fits[keys[index]] for index in group]), racing=self.racing)
            for group in groups
        )
        return {
            keys[index]: outcome
            for group, group_outcomes in zip(groups, outcomes, strict=True)
            for index, outcome in zip(group, group_outcomes, strict=True)
        }

    def _run_search(self, evaluate_candidates: Callable[..., dict[str, Any]]) -> None:
        """Score the candidates, which have been trained."""
        trained = self._trained
        more = {"dropped": trained.dropped} if self.racing else None
        results = evaluate_candidates(trained.candidates, more_results=more)
        results["mean_fit_time"] += trained.seconds
        if self.racing:
            _settle_race(results, trained)


def _check_is_known_again(fits: list[Fit]) -> None:
    try:
        joblib.hash([fit.judge and (fit.judge.scorer, fit.judge.estimator) for fit in fits])
    except (PicklingError, TypeError) as error:
        raise ValueError(
            "memory with racing=True knows fits again by their scorer and the steps of the "
            f"Pipeline, which must be pickled: {error.args[0]}. Use functions that a module "
            "defines by name, no lambdas and none within another; or racing=False."
        ) from error


def _renumber(fits: list[Fit]) -> list[Fit]:
    """Count a group's candidates from 0 on, so that `memory` knows it again in another search."""
    numbers = np.unique([fit.candidate for fit in fits], return_inverse=True)[1]
    return [fit._replace(candidate=int(k)) for fit, k in zip(fits, numbers, strict=True)]


def _settle_race(results: dict[str, Any], trained: _Trained) -> None:
    """Take out the scores on folds that candidates have not come to, and rank again.

    Dropped ones come behind the others, failed ones last.
    """
    n_candidates = len(trained.candidates)
    for mean in [name for name in results if name.startswith(("mean_test_", "mean_train_"))]:
        kind = mean.removeprefix("mean_")
        splits = [name for name in results if re.fullmatch(rf"split\d+_{re.escape(kind)}", name)]
        n_done = len(splits) - np.array(trained.n_missing)
        scores = np.ma.array(
            np.stack([results[split] for split in splits], axis=1),
            mask=np.arange(len(splits)) >= n_done[:, None],
        )
        results.update(zip(splits, scores.filled(np.nan).T, strict=True))
        results[mean] = scores.mean(axis=1).filled(np.nan)
        results[f"std_{kind}"] = scores.std(axis=1).filled(np.nan)
        if kind.startswith("test_"):
            places = rankdata(-np.nan_to_num(results[mean], nan=-np.inf))
            places += n_candidates * np.where(np.isnan(results[mean]), 2, trained.dropped)
            results[f"rank_{kind}"] = rankdata(places, method="min").astype(np.int32)


class _Trained(NamedTuple):
    """What has become of the candidates.

    Parameters
    ----------
    candidates : list of dict
    seconds : list of float
        Of a fit of each, on average.
    dropped : list of bool
    n_missing : list of int
        The last folds, that each was dropped before.
    """

    candidates: list[dict[str, Any]]
    seconds: list[float]
    dropped: list[bool]
    n_missing: list[int]

    @classmethod
    def collect(
        cls,
        candidates: list[dict[str, Any]],
        keys: list[list[Key]],
        outcomes: dict[Key, Outcome],
    ) -> _Trained:
        parts = [[outcomes[key] for key in own] for own in keys]
        return cls(
            candidates,
            [float(np.mean([outcome.seconds for outcome in part] or [0.0])) for part in parts],
            [any(outcome.was_dropped for outcome in part) for part in parts],
            [sum(not outcome.was_done for outcome in part) for part in parts],
        )


class _FixedSplits:
    """A splitter that is asked once, so that random splits are the same each time."""

    def __init__(self, cv: Any) -> None:
        self._cv = cv
        self._splits: list[Any] | None = None

    def split(self, X: Any, y: Any = None, **metadata: Any) -> list[Any]:
        if self._splits is None:
            self._splits = list(self._cv.split(X, y, **metadata))
        return self._splits

    def get_n_splits(self, X: Any = None, y: Any = None, **metadata: Any) -> int:
        return int(self._cv.get_n_splits(X, y, **metadata))

    def get_metadata_routing(self) -> Any:
        return get_routing_for_object(self._cv)


def _look_up(
    outcomes: dict[Key, Outcome],
    unused: set[Key],
    keys: Keys,
    stand_in: StandIn,
    arguments: dict[str, Any],
) -> None:
    """Take up a fit that was done; one that was not, or failed, is done here."""
    key = keys.next(stand_in, arguments)
    unused.discard(key)
    if unused and key not in outcomes:
        unused.clear()
        warnings.warn(
            "A step of the Pipeline gives other rows each time that it is fitted, so what was "
            "trained together is trained again, fit by fit. Set the random_state of that step.",
            stacklevel=2,
        )
    outcome = outcomes.get(key)
    if outcome is None or outcome.regressor is None:
        SirenRegressor.fit(stand_in, **arguments)
    else:
        stand_in.__dict__.update(vars(outcome.regressor))
