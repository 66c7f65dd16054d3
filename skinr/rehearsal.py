"""What a search would fit: recorded by running it with a stand-in for the regressor."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from inspect import signature
from typing import Any

import joblib
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object

from skinr.fits import Fit, Judge
from skinr.regressor import SirenRegressor

Key = tuple[str, str, int]
"""Hashes of a regressor's parameters and of what it is to be fitted to, and a number."""

Arguments = dict[str, Any]


class StandIn(SirenRegressor):
    """A SirenRegressor whose fits are another's work.

    It is a regressor like any other to scikit-learn, which clones it, sets its parameters, routes
    metadata to it and puts it behind the transformers of a Pipeline.
    """

    _fit_by: Callable[[StandIn, Arguments], None]

    def __sklearn_clone__(self) -> StandIn:
        """Clone the parameters and keep who does the work."""
        twin: StandIn = super().__sklearn_clone__()
        twin._fit_by = self._fit_by
        return twin

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        gradient: ArrayLike | None = None,
        laplacian: ArrayLike | None = None,
    ) -> StandIn:
        """Have the fit done; the signature is what metadata is routed by."""
        given = {
            "X": X,
            "y": y,
            "sample_weight": sample_weight,
            "gradient": gradient,
            "laplacian": laplacian,
        }
        self._fit_by(self, {name: part for name, part in given.items() if part is not None})
        return self

    @property
    def plain(self) -> SirenRegressor:
        """The SirenRegressor that this one stands in for, fitted if this one is."""
        regressor = SirenRegressor()
        regressor.__dict__.update(vars(self))
        del regressor.__dict__["_fit_by"]
        return regressor


StandIn.__name__ = SirenRegressor.__name__  # what messages are about


class Keys:
    """Tells which fits of a sequence are the same: of those without a random state no two are."""

    def __init__(self) -> None:
        self._n_before: Counter[tuple[str, str]] = Counter()

    def next(self, regressor: SirenRegressor, arguments: Arguments) -> Key:
        """Return what makes the next fit the same as another."""
        key = joblib.hash(regressor.get_params(deep=False)), joblib.hash(arguments)
        if regressor.random_state is None:
            self._n_before[key] += 1
        return *key, self._n_before[key]


def final_step(estimator: BaseEstimator) -> BaseEstimator:
    """Return the last step of a Pipeline, or what is no Pipeline."""
    return final_step(estimator.steps[-1][1]) if isinstance(estimator, Pipeline) else estimator


def with_final_step(estimator: BaseEstimator, final: BaseEstimator) -> BaseEstimator:
    """Return a shallow copy of a Pipeline with another last step, or that step alone."""
    if not isinstance(estimator, Pipeline):
        return final
    name, step = estimator.steps[-1]
    pipeline = copy(estimator)
    pipeline.steps = [*estimator.steps[:-1], (name, with_final_step(step, final))]
    return pipeline


def with_stand_in(
    estimator: BaseEstimator, fit_by: Callable[[StandIn, Arguments], None]
) -> BaseEstimator:
    """Return a clone whose SirenRegressor is replaced by a stand-in.

    Parameters
    ----------
    estimator : SirenRegressor or Pipeline that ends in one
    fit_by : callable
        What the stand-in and its clones call with themselves and the arguments of `fit`.

    Returns
    -------
    estimator : StandIn or Pipeline that ends in one
    """
    estimator = clone(estimator)
    stand_in = StandIn()
    stand_in.__dict__.update(vars(final_step(estimator)))
    stand_in._fit_by = fit_by
    return with_final_step(estimator, stand_in)


def without_stand_in(estimator: BaseEstimator) -> BaseEstimator:
    """Return an estimator whose stand-in, if it has one, is replaced by the regressor itself."""
    final = final_step(estimator)
    return with_final_step(estimator, final.plain) if isinstance(final, StandIn) else estimator


class Rehearsal:
    """Runs the cross-validation of candidates without training, and records the fits.

    It is its own scorer, so that it sees the rows that each fit is scored on.

    Parameters
    ----------
    estimator : SirenRegressor or Pipeline that ends in one
    scorer : callable
    metric : str or bool
        Which score counts where the scorer returns several.
    with_judges : bool
        Whether to record how each fit is scored, too.
    error_score : "raise" or float
        "raise" lets out what fails here, unusable parameters of the regressor among it.

    Attributes
    ----------
    fits : dict of Fit
        By their keys, those of one candidate side by side.
    keys : list of lists
        For each candidate those of its fits; candidates may have fits in common.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        scorer: Callable[..., Any],
        metric: Any,
        *,
        with_judges: bool,
        error_score: float | str,
    ) -> None:
        self.fits: dict[Key, Fit] = {}
        self.keys: list[list[Key]] = []
        self._keys = Keys()
        self._estimator = with_stand_in(estimator, self._record)
        self._scorer = scorer
        self._metric = metric
        self._with_judges = with_judges
        self._error_score = error_score
        self._arguments: dict[str, Arguments] = {}

    def run(
        self, parameters: dict[str, Any], X: Any, y: Any, cv: Any, metadata: dict[str, Any]
    ) -> None:
        """Go through the folds of one candidate.

        What fails here is recorded as far as it got: it fails again, and is reported, when the
        candidate is evaluated, unless `error_score` is "raise".

        Parameters
        ----------
        parameters : dict
            Of the candidate.
        X, y : array-like
        cv : splitter
        metadata : dict
            What `fit` of the search was given beside X and y.
        """
        self.keys.append([])
        ignored = () if self._error_score == "raise" else (Exception,)
        with warnings.catch_warnings(), suppress(*ignored):
            warnings.simplefilter("ignore")
            estimator = clone(self._estimator).set_params(**clone(parameters, safe=False))
            if isinstance(final_step(estimator), StandIn):
                options = {"scoring": self, "refit": False, "error_score": self._error_score}
                GridSearchCV(estimator, {}, cv=cv, **options).fit(X, y, **metadata)

    def __call__(self, estimator: BaseEstimator, *rows: Any, **metadata: Any) -> float:
        """Record how the fit that was recorded last is scored."""
        fit = self.fits[self._last]
        if self._with_judges and fit.judge is None:
            judged = with_final_step(estimator, fit.regressor)
            judge = Judge(judged, self._scorer, self._metric, rows, metadata)
            self.fits[self._last] = fit._replace(judge=judge)
        return 0.0

    def get_metadata_routing(self) -> Any:
        """Return what the scorer asks for."""
        return get_routing_for_object(self._scorer)

    def _accept_sample_weight(self) -> bool:
        """Return what scikit-learn goes by where metadata are not routed."""
        if hasattr(self._scorer, "_accept_sample_weight"):
            return bool(self._scorer._accept_sample_weight())
        return "sample_weight" in signature(self._scorer).parameters

    def _record(self, stand_in: StandIn, arguments: Arguments) -> None:
        if self._error_score == "raise":
            stand_in._validate_params()
        self._last = self._keys.next(stand_in, arguments)
        self.keys[-1].append(self._last)
        if self._last not in self.fits:
            arguments = self._arguments.setdefault(self._last[1], arguments)
            regressor = clone(stand_in.plain)
            self.fits[self._last] = Fit(regressor, arguments, candidate=len(self.keys) - 1)
