"""The steps of a fit by least squares, one after another."""

from __future__ import annotations

from math import inf

import torch

from skinr.least_squares import LeastSquaresFit
from skinr.training import Monitor


def descend(fit: LeastSquaresFit, max_iter: int, monitor: Monitor, n_steps: float = inf) -> bool:
    """Take so many steps at most until the fit has converged; False where something interrupts."""
    last = min(max_iter, len(fit.losses) + n_steps)
    while len(fit.losses) < last and not fit.has_converged:
        fit.step()
        monitor.look(len(fit.losses), torch.tensor([fit.loss], device="cpu"))
        if len(fit.losses) < max_iter and monitor.interrupts():
            return False
    return True
