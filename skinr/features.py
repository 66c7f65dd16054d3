"""What validation writes on an estimator, and what a failed fit leaves of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sklearn.base import BaseEstimator

FEATURES = ("n_features_in_", "feature_names_in_")
"""Attributes that validation sets."""


@contextmanager
def features_kept_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Leave an earlier fit as it was where a later one fails after its X was validated."""
    state = estimator.__dict__
    before = {name: state[name] for name in FEATURES if name in state}
    try:
        yield
    except BaseException:
        for name in FEATURES:
            state.pop(name, None)
        state.update(before)
        raise
