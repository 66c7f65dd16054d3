"""Ensembles of small tables: members that differ as the function may, given the rows."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skinr.descent import Descent
from skinr.history import History
from skinr.jet_rows import JetRows
from skinr.members import candidates_of_members, fit_members, resize_members
from skinr.most_probable import fit_most_probable
from skinr.network import SirenStack


@torch.no_grad()
def fit_posterior(
    stack: SirenStack,
    stages: Sequence[JetRows],
    descent: Descent,
    generators: Sequence[torch.Generator],
    *,
    continued: bool,
) -> tuple[SirenStack, History, NDArray[np.float64] | None]:
    r"""Fit an ensemble to a small table.

    One network is fitted first; frequency and noise are what it finds, the larger noise where the
    rows can't tell. Then each member is fitted from initial weights of its own to targets with
    noise of that size added to them: if functions were linear in the weights, members would be
    draws from the posterior ([1]_, section 3; [2]_, section 3). Away from the rows they keep to
    their initial functions, which are therefore made as large as the evidence expects functions to
    be, up to the targets ([3]_, section 2). The noise sums to 0 over the members, so that their
    mean, the prediction, is not disturbed by it. The first network goes on from where it is, and
    takes the place of one that does not find the function.

    Parameters
    ----------
    stack : SirenStack
        As networks start, in float64 on the CPU: for each member those of all frequencies that
        come into question, in the same order.
    stages : sequence of JetRows
        What is fitted, one after another; for an ensemble values alone, all of them known.
    descent : Descent
    generators : sequence of torch.Generator
        Of each member.
    continued : bool
        Whether networks have been fitted before, and initial functions are no draws of a prior.

    Returns
    -------
    stack : SirenStack
        The members; only those that were done where the fit was interrupted.
    history : History
        Of the first network.
    noise : ndarray of shape (n_outputs,) or None
        Standard deviation of the noise of rows of mean weight; None for one member.

    References
    ----------
    .. [1] Matthews, Hron, Turner, Ghahramani. Sample-then-optimize posterior sampling for Bayesian
       linear models. NeurIPS workshop on advances in approximate Bayesian inference, 2017.
    .. [2] Pearce, Leibfried, Brintrup, Zaki, Neely. Uncertainty in Neural Networks: Approximately
       Bayesian Ensembling. AISTATS 2020. arXiv:1810.05546.
    .. [3] Osband, Aslanides, Cassirer. Randomized Prior Functions for Deep Reinforcement Learning.
       NeurIPS 2018. arXiv:1806.03335.
    """
    candidates = candidates_of_members(stack, len(generators))
    first, chosen = fit_most_probable(candidates[0], stages, descent)
    history = first.history(descent.ended_by)
    if len(generators) == 1 or descent.ended_by:
        return first.stack, history, None
    rows = stages[0]
    first.expect_noise()
    noise = first.noise_of_outputs()
    starts = [own.take(chosen) for own in candidates[1:]]
    tables = [rows._replace(targets=own) for own in _perturbed(rows, noise, generators)]
    if not continued:
        resize_members(starts, tables[1:], first)
    members = fit_members([None, *starts], tables, first, descent)
    history = history._replace(interruption=descent.ended_by)
    if len(members) < 2:
        return first.stack, history, None
    return SirenStack.join([fit.stack for fit in members]), history, noise.numpy()


def _perturbed(rows: JetRows, noise: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Return targets (K, 1, n, p) of each member, whose mean is that of the rows."""
    shape, dtype = rows.targets.shape, rows.targets.dtype
    drawn = torch.stack(
        [
            torch.randn(shape, generator=generator, dtype=dtype, device="cpu")
            for generator in generators
        ]
    )
    centred = (drawn - drawn.mean(dim=0)) * sqrt(len(drawn) / (len(drawn) - 1))
    return rows.targets + noise / rows.root_weight * centred
