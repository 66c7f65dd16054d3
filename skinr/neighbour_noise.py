"""How much of the values of one variable may be noise, judged by neighbouring rows alone."""

from __future__ import annotations

from math import inf, sqrt

import torch

from skinr.jet_rows import JetRows

MARGIN = 6.0
"""What the estimate is raised by, over the square root of the number of values that count: three of
its standard errors where all is noise."""


def noise_bound(rows: JetRows) -> float:
    """Return what the weighted mean square of the noise of values hardly exceeds.

    What a row misses of the line between its two neighbours is the noise of the three and the
    curvature of the function, so that its mean square bounds that of the noise from above, closely
    where rows are dense ([1]_, section 2). It does so for weights of any meaning.

    Parameters
    ----------
    rows : JetRows

    Returns
    -------
    noise_bound : float
        inf for derivatives, for several variables, and for fewer than three rows.

    References
    ----------
    .. [1] Gasser, Sroka, Jennen-Steinmetz. Residual variance and residual pattern in nonlinear
       regression. Biometrika 73(3), 1986.
    """
    rows = rows.without_empty()
    varying = rows.coordinates.ne(rows.coordinates[:1]).any(dim=0).nonzero()[:, 0]
    if len(rows.targets) > 1 or len(varying) != 1 or len(rows.coordinates) < 3:
        return inf
    position, order = rows.coordinates[:, varying[0]].sort(stable=True)
    value, root_weight = rows.targets[0, order], rows.root_weight[0, order][1:-1]
    span = position[2:] - position[:-2]
    before = torch.where(span > 0, (position[2:] - position[1:-1]) / span, 0.5)[:, None]
    after = 1 - before
    missed = value[1:-1] - before * value[:-2] - after * value[2:]
    noise = (root_weight * missed).square() / (1 + before.square() + after.square())
    weight = root_weight.square()
    n_counting = float(weight.sum() ** 2 / weight.square().sum())
    return (1 + MARGIN / sqrt(n_counting)) * float(noise[weight > 0].mean())
