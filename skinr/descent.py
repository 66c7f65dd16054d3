"""The steps of fits by least squares, one after another, until something ends them."""

from __future__ import annotations

from itertools import count
from math import inf

from skinr.interruption import Interruption
from skinr.least_squares import LeastSquaresFit
from skinr.progress import Progress, show_nothing


class Descent:
    """Takes steps, and looks after each of them whether to go on.

    Parameters
    ----------
    max_iter : int
        Most steps of a network.
    interruption : Interruption
    progress : Progress, default=show_nothing
        Called after every step, with the number of those of all networks.
    """

    def __init__(
        self, max_iter: int, interruption: Interruption, progress: Progress = show_nothing
    ) -> None:
        self.max_iter = max_iter
        self._interruption = interruption
        self._progress = progress
        self._n_steps = count(1)

    def run(self, fit: LeastSquaresFit, n_steps: float = inf) -> bool:
        """Take so many steps at most until a fit has converged; False where something ends it."""
        last = min(self.max_iter, len(fit.losses) + n_steps)
        while len(fit.losses) < last and not fit.has_converged:
            fit.step()
            self._progress(next(self._n_steps), fit.loss)
            if len(fit.losses) < self.max_iter and self.is_interrupted():
                return False
        return True

    def is_interrupted(self) -> bool:
        """Return whether to take no more steps; `ended_by` says why from then on."""
        return self._interruption.is_due()

    @property
    def ended_by(self) -> str | None:
        """What has ended the steps before their time, if something has."""
        return self._interruption.ended_by
