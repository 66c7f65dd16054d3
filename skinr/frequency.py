"""Choosing frequencies from data."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi, sqrt
from sys import float_info
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from skinr.scaling import AffineMap

ROWS_PER_CELL = 75.0
"""Rows that a unit of frequency along every axis takes."""

LOWEST, HIGHEST = 1.5, 30.0
"""Range of the choice; the upper end is what the paper takes for every image."""

CANDIDATES = (0.0125, 0.05, 0.2, 0.35, 0.6, 1.0, 1.5, 2.25, 3.5, 5.0, 7.5, 11.0, 16.0, 24.0)
"""Frequencies among which the rows choose, where there are enough rows for them.

The lowest suit what is nearly linear or a polynomial, of few rows, in noise and in several
variables above all."""

MOST_OVER_DENSITY = 8.0
"""The highest candidate, in units of what as many rows can bear in general."""

EDGE = 0.97
"""Share of the power of a spectrum below its edge: a harmonic of a twentieth of it is to count, and
the higher the edge is, the more noise is learned."""

FLOOR = 10.0
"""Powers that are no noise, over those of a noise of the same rows, in units of the median of all:
of a thousand of noise one is higher."""

ROUNDING = 1e-9
"""By which normalised positions may miss the ends of their range, unless they are far from 0."""

MOST_NOISES, ROWS_OF_NOISES, N_BANDS = 8, 4000, 50
"""Draws of that noise, rows that they need together, and bands over which powers are averaged."""

LEAST_PLAIN_POWER = 0.25
"""Share of the power that must be no noise for a spectrum to have an edge."""

EDGE_OVER_OMEGA = 12.0
"""The edge of a spectrum over the frequency of a first layer that gets there in 1000 updates.

On sines, and sums of three, with 10 to 40 rows a period, 4000 and 16,000 of them."""

LOWEST_HIDDEN, HIGHEST_HIDDEN = 3.0, 8.0
"""Range of the frequency of the other layers there: lower ones learn less noise, and in 1000
updates fewer of the oscillations of many rows. On tones, sums of them, an electrocardiogram and
harmonics of 1500 to 16,000 rows, 3 leaves a third to all of what 8 does of 1500 rows in noise, and
up to 14 times as much of 16,000 exact ones."""

ROWS_OF_LOWEST_HIDDEN = 3000
"""Rows from which on it grows with the square root of their number."""

EDGE_OVER_CANDIDATE = 6.0
"""The same ratio for least squares."""

HIDDEN_OF_CANDIDATE = 3.0
"""The frequency of the other layers there."""

HIDDEN_OF_LOWER = 0.5
"""The same in networks that are to find a function far from any initial one: of hidden layers that
learn slowly. Between 0.25 and 1 it matters little; in three variables 1 or 2 is as good."""


class Frequencies(NamedTuple):
    """Those of the first layer and of the other sine layers of a network."""

    first: float
    hidden: float


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
    n_axes = max(1, int(np.count_nonzero(AffineMap.from_range(coordinates).scale)))
    density = (len(coordinates) / ROWS_PER_CELL) ** (1 / n_axes)
    return float(np.clip(density, LOWEST, HIGHEST))


def frequencies_for_batches(coordinates: NDArray[np.floating], edge: float) -> Frequencies:
    """Choose those from which mini-batches get to the edge of a spectrum.

    They are :func:`omega_0_from_density`, unless the rows oscillate too fast for that.
    """
    usual, fast = omega_0_from_density(coordinates), edge / EDGE_OVER_OMEGA
    if fast <= usual:
        return Frequencies(usual, usual)
    hidden = LOWEST_HIDDEN * sqrt(len(coordinates) / ROWS_OF_LOWEST_HIDDEN)
    return Frequencies(fast, float(np.clip(hidden, LOWEST_HIDDEN, HIGHEST_HIDDEN)))


def candidate_frequencies(coordinates: NDArray[np.floating], edge: float) -> list[Frequencies]:
    """Return the frequencies that a small table may turn out to have.

    Those up to 8 times :func:`omega_0_from_density`: rows of a function that does little else but
    oscillate can show as much. And a higher one where they do.

    Parameters
    ----------
    coordinates : ndarray of shape (n_rows, n_features)
    edge : float
        What :func:`spectral_edge` returns.

    Returns
    -------
    candidates : list of Frequencies
        Ascending, at least one.
    """
    highest = MOST_OVER_DENSITY * omega_0_from_density(coordinates)
    usual = [omega_0 for omega_0 in CANDIDATES if omega_0 <= highest]
    fast = edge / EDGE_OVER_CANDIDATE
    faster = [Frequencies(fast, HIDDEN_OF_CANDIDATE)] if fast > usual[-1] else []
    return [Frequencies(omega_0, omega_0) for omega_0 in usual] + faster


def fallback_frequencies(candidates: Sequence[Frequencies]) -> list[Frequencies]:
    """Return what is tried where none of the candidates finds the function.

    Parameters
    ----------
    candidates : sequence of Frequencies
        Ascending.

    Returns
    -------
    lower : list of Frequencies
        Descending, every second one below the highest.
    """
    return [Frequencies(first, HIDDEN_OF_LOWER) for first, _ in candidates[-2::-2]]


def spectral_edge(coordinates: NDArray[np.floating], values: NDArray[np.floating]) -> float:
    """Return the angular frequency below which most of the power of a signal is.

    The signal is interpolated linearly to as many equidistant positions as it has rows. Of its
    power spectrum, summed over the outputs, what a noise of the rows may hold is taken away:
    interpolation leaves most of that at low frequencies, unless rows are equidistant.

    Parameters
    ----------
    coordinates : ndarray of shape (n_rows, n_features)
    values : ndarray of shape (n_rows, n_outputs)

    Returns
    -------
    edge : float
        In radians per half of the range of the coordinate; 0 where rows vary along several axes,
        or show little but noise.
    """
    X = AffineMap.from_usual_range(coordinates)
    (axes,) = np.nonzero(X.scale)
    if len(axes) != 1:
        return 0.0
    (axis,) = axes
    position = X.normalize(coordinates)[:, axis]
    rounding = abs(float(X.center[axis])) / float(X.scale[axis]) * float_info.epsilon
    is_usual = np.abs(position) <= 1 + max(ROUNDING, rounding)
    position, values = position[is_usual], values[is_usual]
    order, n_rows = np.argsort(position, kind="stable"), len(position)
    position = position[order]
    power = np.zeros(n_rows // 2)
    for column in values.T:
        power += _power(position, column[order])
    noise = _power_of_noise(position)
    plain = np.clip(power - FLOOR * np.median(power / noise) * noise, 0, None)
    if plain.sum() <= LEAST_PLAIN_POWER * power.sum():
        return 0.0
    below = np.cumsum(plain)
    cycles = (1 + int(np.searchsorted(below, EDGE * below[-1]))) * (n_rows - 1) / n_rows
    return pi * cycles


def _power(position: NDArray[np.floating], values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the power of a signal at 1 cycle, 2 cycles, ..., in units of its variance."""
    even = np.linspace(position[0], position[-1], len(position))
    signal = np.interp(even, position, values / (np.abs(values).max() or 1.0))
    power: NDArray[np.float64] = np.abs(np.fft.rfft(signal - signal.mean())[1:]) ** 2
    return power / (signal.var() or 1.0)


def _power_of_noise(position: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return what is proportional to the power that noise of rows at these positions has."""
    draw, n_rows = np.random.default_rng(0), len(position)
    n_draws = min(MOST_NOISES, 1 + ROWS_OF_NOISES // n_rows)
    power = sum(_power(position, draw.standard_normal(n_rows)) for _ in range(n_draws))
    averaged: NDArray[np.float64] = uniform_filter1d(power, 1 + n_rows // N_BANDS, mode="nearest")
    return averaged
