"""Fits of a regressor to the pixels of an image, or of one tile of many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from skinr.grids import Grid, to_coordinates
from skinr.interruption import parts_of_a_whole, watched_for_interruptions
from skinr.pixels import to_values

Array = NDArray[Any]


def fit_pixels(
    regressor: Any, pixels: Array, known: NDArray[np.bool_], metadata: Mapping[str, Array]
) -> Any:
    """Fit a clone of a regressor to the pixels that are known.

    Parameters
    ----------
    regressor : estimator
    pixels : ndarray of shape (*grid_shape, n_channels) or grid_shape
    known : ndarray of bool of shape grid_shape
    metadata : mapping of str to ndarray of shape grid_shape

    Returns
    -------
    regressor : estimator
        Fitted to coordinates in [-1, 1] and values.
    """
    positions = Grid.over(known.shape).positions()[known.ravel()]
    rows = {name: value[known] for name, value in metadata.items()}
    return clone(regressor).fit(
        to_coordinates(positions, known.shape), to_values(pixels[known]), **rows
    )


class InterruptedFitError(Exception):
    """Takes what an interrupted fit has come to past `memory`, which keeps what is returned."""


def fit_whole_tile(
    regressor: Any, pixels: Array, known: NDArray[np.bool_], metadata: Mapping[str, Array]
) -> Any:
    """Do what :func:`fit_pixels` does to one tile of many, or raise an InterruptedFitError."""
    with parts_of_a_whole(), watched_for_interruptions() as was_interrupted:
        fitted = fit_pixels(regressor, pixels, known, metadata)
    if was_interrupted.is_set():
        raise InterruptedFitError(fitted)
    return fitted


def fit_tile(fit_whole: Callable[..., Any], *arguments: Any) -> Any:
    """Return what :func:`fit_whole_tile`, or what keeps its results, has come to in any case."""
    try:
        return fit_whole(*arguments)
    except InterruptedFitError as error:
        return error.args[0]
