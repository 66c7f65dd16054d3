"""Fits to be done, and the judges of their scores."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from math import inf, isfinite
from typing import Any, NamedTuple

import joblib
from sklearn.base import BaseEstimator, clone

from skinr.device import available_devices
from skinr.regressor import SirenRegressor
from skinr.threads import count_threads

PER_NETWORK = {
    "alpha",
    "first_layer_init",
    "hidden_omega_0",
    "learning_rate_init",
    "normalize_X",
    "normalize_y",
    "omega_0",
    "random_state",
    "verbose",
    "weight_scale",
}
"""Parameters in which the networks of a stack may differ."""


def names_no_score(refit: Any) -> ValueError:
    """Return the error for a race by several scores of which `refit` names none."""
    return ValueError(
        "racing=True goes by one score: with several in scoring, refit must name it; "
        f"refit={refit!r} given."
    )


class Judge(NamedTuple):
    """Scores an estimator on rows that it was not fitted to.

    Parameters
    ----------
    estimator : SirenRegressor or Pipeline that ends in one
    scorer : callable
        Of several scores, one that failed is its traceback as text.
    metric : str or bool
        Which score counts where the scorer returns several.
    rows : tuple
        X, and y if there is one.
    metadata : dict
    """

    estimator: BaseEstimator
    scorer: Callable[..., Any]
    metric: Any
    rows: tuple[Any, ...]
    metadata: dict[str, Any]

    def score(self) -> float:
        """Return the score as it is by now, -inf where there is none.

        Raises
        ------
        ValueError
            If there are several, and `metric` names none of them.
        """
        try:
            score = self.scorer(self.estimator, *self.rows, **self.metadata)
        except Exception:
            return -inf
        if isinstance(score, dict):
            if self.metric not in score:
                raise names_no_score(self.metric)
            score = score[self.metric]
        value = -inf if isinstance(score, str) else float(score)
        return value if isfinite(value) else -inf


class Fit(NamedTuple):
    """A regressor, and what it is to be fitted to.

    Parameters
    ----------
    regressor : SirenRegressor
        Its parameters; it becomes the fitted one.
    arguments : dict
        Of its `fit`.
    candidate : int
        Fits of one candidate stay in one group.
    judge : Judge, optional
    """

    regressor: SirenRegressor
    arguments: dict[str, Any]
    candidate: int
    judge: Judge | None = None

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Leave the regressor without a fit where an error ends this context, and go on."""
        try:
            yield
        except Exception:
            self.regressor.__dict__ = vars(clone(self.regressor))

    @property
    def is_done(self) -> bool:
        """Whether the regressor has been fitted."""
        return hasattr(self.regressor, "network_")

    @property
    def goes_alone(self) -> bool:
        """Whether the fit asks for something that a stack does not do."""
        regressor = self.regressor
        return (
            regressor.early_stopping
            or regressor.n_estimators > 1
            or regressor.max_time is not None
            or not self.arguments.keys() <= {"X", "y", "sample_weight"}
        )

    @property
    def shared(self) -> Hashable:
        """The parameters that the networks of a stack have in common."""
        parameters = self.regressor.get_params(deep=False)
        shared = {name: value for name, value in parameters.items() if name not in PER_NETWORK}
        return str(joblib.hash(shared))

    @property
    def is_for_cpu(self) -> bool:
        """Whether it runs on a CPU."""
        device = str(self.regressor.device)
        return device.startswith("cpu") or (device == "auto" and available_devices() == ["cpu"])

    @property
    def n_threads(self) -> int:
        """In how many threads fits like it may run beside each other."""
        return count_threads() if self.is_for_cpu else 1
