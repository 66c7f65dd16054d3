"""What happened during a fit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class History(NamedTuple):
    """The losses of a fit, and what else it went through.

    Parameters
    ----------
    losses : ndarray of shape (n_iter, K)
        The objective before each update, on that update's batch.
    validation_scores : ndarray of shape (n_evaluations, K) or None
        R² on the validation rows, where there are any.
    n_step_backs : ndarray of shape (K,)
        How often each network diverged and was taken back to its last good state.
    interruption : str or None
        What ended the fit before its last update, if something did.
    """

    losses: NDArray[np.float64]
    validation_scores: NDArray[np.float64] | None
    n_step_backs: NDArray[np.float64]
    interruption: str | None

    def take(self, k: int) -> History:
        """Return what happened to network k, as the history of a stack of one."""
        scores = self.validation_scores
        return History(
            self.losses[:, k : k + 1],
            None if scores is None else scores[:, k : k + 1],
            self.n_step_backs[k : k + 1],
            self.interruption,
        )
