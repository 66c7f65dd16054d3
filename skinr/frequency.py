"""Choosing omega_0 from data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROWS_PER_CELL = 75.0
"""Rows that a unit of frequency along every axis takes."""

LOWEST, HIGHEST = 1.5, 30.0
"""Range of the choice; the upper end is what the paper takes for every image."""

CANDIDATES = (0.2, 0.35, 0.6, 1.0, 1.5, 2.25, 3.5, 5.0, 7.5, 11.0, 16.0, 24.0)
"""Frequencies among which the rows choose, where there are enough rows for them.

The lowest suit what is nearly a polynomial, in noise and in several variables above all."""

MOST_OVER_DENSITY = 8.0
"""The highest candidate, in units of what as many rows can bear in general."""


def omega_0_from_density(coordinates: NDArray[np.floating]) -> float:
    r"""Choose the frequency that as many rows can bear.

    With n rows that vary along d axes it is :math:`(n/75)^{1/d}`, within [1.5, 30]: in
    proportion to the number of rows along an axis, as the highest frequency that samples can show
    is (Nyquist), and far below that, since the rows must determine a function and not only carry
    it. The constant was chosen on smooth, oscillating, peaked, kinked and discontinuous functions
    of one to three variables, 50 to 2000 rows, half of them noisy, so that neither kind loses much
    to the best of ten frequencies. A photograph of 256 x 256 pixels gets 29.6 by it, where the
    paper takes 30.

    Parameters
    ----------
    coordinates : ndarray of shape (n_rows, n_features)

    Returns
    -------
    omega_0 : float
    """
    n_axes = max(1, int(np.count_nonzero(np.ptp(coordinates, axis=0))))
    density = (len(coordinates) / ROWS_PER_CELL) ** (1 / n_axes)
    return float(np.clip(density, LOWEST, HIGHEST))


def candidate_frequencies(coordinates: NDArray[np.floating]) -> list[float]:
    """Return the frequencies that a small table may turn out to have.

    Those up to 8 times :func:`omega_0_from_density`: rows of a function that does little else but
    oscillate can show as much.

    Parameters
    ----------
    coordinates : ndarray of shape (n_rows, n_features)

    Returns
    -------
    frequencies : list of float
        Ascending, at least one.
    """
    highest = MOST_OVER_DENSITY * omega_0_from_density(coordinates)
    return [frequency for frequency in CANDIDATES if frequency <= highest]
