"""Functions of one to three variables on [-1, 1] to learn from tables."""

import numpy as np

FLOOR = 1e-10
"""Least error that is told apart from none."""


def franke(x, y):
    """Return Franke's function on [-1, 1]²."""
    x, y = (9 * x + 9) / 2, (9 * y + 9) / 2
    return (
        0.75 * np.exp(-((x - 2) ** 2 + (y - 2) ** 2) / 4)
        + 0.75 * np.exp(-((x + 1) ** 2) / 49 - (y + 1) / 10)
        + 0.5 * np.exp(-((x - 7) ** 2 + (y - 3) ** 2) / 4)
        - 0.2 * np.exp(-((x - 4) ** 2) - (y - 7) ** 2)
    )


SMOOTH = {
    "sine": lambda x: np.sin(4 * x + 1),
    "polynomial": lambda x: x**5 - 2 * x**3 + x,
    "logistic": lambda x: 1 / (1 + np.exp(-12 * x)),
    "pole": lambda x: 1 / (1 + 25 * x**2),
    "Franke": franke,
    "saddle": lambda x, y: x**2 - y**2 + x * y**3,
    "three": lambda x, y, z: np.sin(3 * x) * np.cos(2 * y) + z**2,
}
OSCILLATING = {
    "two sines": lambda x: np.sin(12 * x) + np.sin(31 * x) / 2,
    "damped": lambda x: np.exp(-3 * (x + 1)) * np.cos(20 * x),
    "chirp": lambda x: np.sin(10 * (x + 1) ** 2),
    "ripples": lambda x, y: np.cos(12 * np.hypot(x, y)),
    "waves": lambda x, y: np.sin(7 * x) * np.cos(9 * y),
}
ROUGH = {
    "peak": lambda x: np.exp(-200 * (x - 0.3) ** 2),
    "kink": lambda x: np.abs(x - 0.2),
    "square": lambda x: np.sign(np.sin(9 * x)),
    "root": lambda x: np.sqrt(np.abs(x)),
    "step": lambda x, y: np.where(x + y > 0.2, 1.0, 0.0),
    "cone": lambda x, y: np.maximum(0, 0.7 - np.hypot(x, y)),
}
FUNCTIONS = {**SMOOTH, **OSCILLATING, **ROUGH}


def n_variables(name):
    """Return how many variables a function has."""
    return FUNCTIONS[name].__code__.co_argcount


def table(name, n_rows, noise, random_state, *, even=True):
    """Draw rows of a function, and new points with the truth.

    Parameters
    ----------
    name : str
    n_rows : int
    noise : float
        Standard deviation of the noise in units of that of the values.
    random_state : int
    even : bool
        Whether rows are as dense everywhere; otherwise four times denser on one side.

    Returns
    -------
    X, y, new, truth : ndarray
    """
    draw = np.random.default_rng(random_state)
    X = draw.uniform(-1, 1, (n_rows, n_variables(name)))
    if not even:
        X[:, 0] = 2 * draw.beta(1, 2, n_rows) - 1
    y = FUNCTIONS[name](*X.T)
    new = draw.uniform(-1, 1, (2000, n_variables(name)))
    return X, y + draw.normal(0, noise * y.std(), n_rows), new, FUNCTIONS[name](*new.T)
