"""Fits of a regressor to the pixels of an image, or of one tile of many."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from skinr.grids import Grid, to_coordinates
from skinr.interruption import DEFAULT_HANDLERS
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


def fit_tile(
    regressor: Any, pixels: Array, known: NDArray[np.bool_], metadata: Mapping[str, Array]
) -> Any:
    """Do what :func:`fit_pixels` does, whole or not at all.

    A SirenRegressor ends at a signal with what it has learned. One tile of many must not: nobody
    wants to end a thousand fits one by one, nor to keep a tile that is half learned.

    Parameters
    ----------
    regressor : estimator
    pixels : ndarray of shape (*grid_shape, n_channels) or grid_shape
    known : ndarray of bool of shape grid_shape
    metadata : mapping of str to ndarray of shape grid_shape

    Returns
    -------
    regressor : estimator

    Raises
    ------
    KeyboardInterrupt, SystemExit
        At Ctrl-C and SIGTERM.
    """
    with _raising_at_signals():
        return fit_pixels(regressor, pixels, known, metadata)


@contextmanager
def _raising_at_signals() -> Iterator[None]:
    with ExitStack() as restoring:
        if current_thread() is main_thread():
            for number, default in DEFAULT_HANDLERS.items():
                if signal.getsignal(number) == default:
                    restoring.callback(signal.signal, number, signal.signal(number, _raise))
        yield


def _raise(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
