"""The values that a table of derivatives implies, by one sparse solve."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import cg
from scipy.spatial import Delaunay, QhullError

MAX_FEATURES = 3
"""Beyond so many coordinates scattered rows are not triangulated."""

MAX_GRID_GAPS = 2.0
"""Rows that fill a grid to less than one in so many places count as scattered."""

RELATIVE_TOLERANCE = 1e-6
"""Residual at which the solve stops."""

SMALLEST_FLUX = 1e-6
"""Share of the absolute sources that must be left in their sum to count as flux."""

Array = NDArray[Any]
Equations = tuple[csr_array, Array]


class Edges(NamedTuple):
    """Pairs of rows between which the function is integrated.

    Parameters
    ----------
    first, second : ndarray of shape (n_edges,)
        Indices of rows.
    weight : ndarray of shape (n_edges,)
        Of each edge's equation; on a grid that of the finite volume method.
    mass : ndarray of shape (n_rows,) or None
        Volume of the cell around each row of a grid.
    """

    first: Array
    second: Array
    weight: Array
    mass: Array | None


def implied_values(
    X: Array, gradient: Array | None, laplacian: Array | None, values: Array
) -> Array:
    r"""Integrate derivatives over the rows: what values would have them.

    Neighbours i and j on the grid of the rows, or in their Delaunay triangulation, differ by
    :math:`(G_i + G_j) \cdot (x_j - x_i) / 2`; the values solve these equations by weighted least
    squares ([1]_, section 3, is the case of an image). A Laplacian is integrated on grids alone, by
    finite volumes. It leaves every harmonic function open: one that sums to 0 over the grid, as
    differences between pixels do, is taken to have no flux through the edge of the grid; any other
    to have the same value all along it, unless values are known.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
    gradient : ndarray of shape (n_rows, n_features, n_outputs) or None
    laplacian : ndarray of shape (n_rows, n_outputs) or None
        Used where no gradient is given.
    values : ndarray of shape (n_rows, n_outputs)
        The known values, NaN elsewhere.

    Returns
    -------
    values : ndarray of shape (n_rows, n_outputs)
        With the gaps filled; NaN where the derivatives do not say it. Where no value is known
        their mean is 0.

    References
    ----------
    .. [1] Pérez, Gangnet, Blake. Poisson Image Editing. ACM Transactions on Graphics 22(3), 2003.
    """
    X, place = np.unique(X, axis=0, return_inverse=True)
    place = place.ravel()
    extent = np.ptp(X, axis=0)
    extent = np.where(extent > 0, extent, 1) if gradient is not None else extent.max() or 1.0
    X = (X - X[0]) / extent
    edges = _grid_edges(X) or (None if gradient is None else _scattered_edges(X))
    if edges is None:
        return values
    filled = values.copy()
    for output in range(values.shape[1]):
        known = _mean_at(place, values[:, output])
        if gradient is not None:
            slopes = np.stack([_mean_at(place, part) for part in gradient[..., output].T], axis=1)
            equations = _gradient_equations(X, edges, slopes * extent)
        else:
            assert laplacian is not None
            curvatures = _mean_at(place, laplacian[:, output])
            equations = _laplacian_equations(edges, curvatures * extent * extent)
            known = _level_edge(equations, X.shape[1], known)
        gaps = np.isnan(values[:, output])
        filled[gaps, output] = _solve(*equations, known)[place][gaps]
        if gaps.all():
            filled[:, output] -= _mean(filled[:, output])
    return filled


def _mean_at(place: Array, numbers: Array) -> Array:
    """Return the means of what is known of numbers (n_rows,) in each place; NaN elsewhere."""
    known = ~np.isnan(numbers)
    count = np.bincount(place[known], minlength=place.max() + 1)
    total = np.bincount(place[known], numbers[known], minlength=place.max() + 1)
    means: Array = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return means


def _grid_edges(X: Array) -> Edges | None:
    """Join neighbours along each axis of a grid, which may have holes."""
    axes = [np.unique(column, return_inverse=True) for column in X.T]
    shape = tuple(len(ticks) for ticks, _ in axes)
    if np.prod(shape, dtype=float) > MAX_GRID_GAPS * len(X):
        return None
    places = [place.ravel() for _, place in axes]
    rows = np.full(shape, -1)
    rows[tuple(places)] = np.arange(len(X))
    widths = [_cell_widths(ticks)[place] for (ticks, _), place in zip(axes, places, strict=True)]
    mass = np.prod(widths, axis=0)
    parts = []
    for axis, width in enumerate(widths):
        along = np.moveaxis(rows, axis, 0)
        pairs = np.stack([along[:-1].ravel(), along[1:].ravel()])
        first, second = pairs[:, (pairs >= 0).all(axis=0)]
        face = mass[first] / width[first]
        parts.append((first, second, face / (X[second, axis] - X[first, axis])))
    first, second, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Edges(first, second, weight, mass)


def _cell_widths(ticks: Array) -> Array:
    """Return how much of an axis is nearest to each tick; as much outside the ends as inside."""
    return np.gradient(ticks) if len(ticks) > 1 else np.ones(1)


def _scattered_edges(X: Array) -> Edges | None:
    """Join the neighbours in a triangulation, with less weight on the longer edges."""
    n_rows, n_features = X.shape
    if n_features > MAX_FEATURES or n_rows <= n_features:
        return None
    try:
        starts, neighbours = Delaunay(X).vertex_neighbor_vertices
    except QhullError:
        return None
    first = np.repeat(np.arange(n_rows), np.diff(starts))
    first, second = first[first < neighbours], neighbours[first < neighbours]
    square = ((X[second] - X[first]) ** 2).sum(axis=1)
    return Edges(first, second, 1 / (1 + (square / np.median(square)) ** 2), None)


def _gradient_equations(X: Array, edges: Edges, gradient: Array) -> Equations:
    """Return matrix and right-hand side for a gradient (n_rows, n_features) with gaps."""
    step = X[edges.second] - X[edges.first]
    ends = np.stack([gradient[edges.first], gradient[edges.second]])
    known = ~np.isnan(ends)
    mean = np.nan_to_num(ends).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    used = (known.any(axis=0) | (step == 0)).all(axis=1)
    flow = (edges.weight * (mean * step).sum(axis=1))[used]
    matrix = _graph_laplacian(edges, used, len(X))
    source = np.bincount(edges.second[used], flow, minlength=len(X))
    return matrix, source - np.bincount(edges.first[used], flow, minlength=len(X))


def _laplacian_equations(edges: Edges, laplacian: Array) -> Equations:
    """Return matrix and right-hand side for a Laplacian (n_rows,) with gaps."""
    assert edges.mass is not None
    known = ~np.isnan(laplacian)
    used = known[edges.first] & known[edges.second]
    matrix = _graph_laplacian(edges, used, len(laplacian))
    return matrix, -edges.mass * np.nan_to_num(laplacian)


def _level_edge(equations: Equations, n_features: int, values: Array) -> Array:
    """Set values on the edge of the grid to 0 where nothing else settles the flux through it."""
    matrix, source = equations
    if not np.isnan(values).all() or abs(source.sum()) <= SMALLEST_FLUX * np.abs(source).sum():
        return values
    n_neighbours = np.diff(matrix.indptr) - 1
    on_edge = (matrix.diagonal() > 0) & (n_neighbours < 2 * n_features)
    return np.where(on_edge, 0.0, values)


def _graph_laplacian(edges: Edges, used: Array, n_rows: int) -> csr_array:
    pairs = edges.first[used], edges.second[used]
    half = coo_array((edges.weight[used], pairs), shape=(n_rows, n_rows))
    adjacency = (half + half.T).tocsr()
    return (diags_array(adjacency.sum(axis=1)) - adjacency).tocsr()


def _solve(matrix: csr_array, source: Array, values: Array) -> Array:
    """Fill the gaps of values (n_rows,) where the equations and the known ones determine them."""
    known = ~np.isnan(values)
    _, part = connected_components(matrix, directed=False)
    anchored = np.bincount(part, known) > 0
    joined = np.bincount(part) > 1
    settled = joined & anchored if known.any() else joined & (joined.sum() == 1)
    unknown = ~known & settled[part]
    filled = values.copy()
    if not unknown.any():
        return filled
    mean_source = np.bincount(part, source) / np.bincount(part)
    source = source - np.where(anchored, 0, mean_source)[part]
    inner = matrix[unknown][:, unknown]
    right = source[unknown] - matrix[unknown][:, known] @ values[known]
    magnitude = np.abs(right).max() or 1.0
    solution, _ = cg(
        inner, right / magnitude, rtol=RELATIVE_TOLERANCE, M=diags_array(1 / inner.diagonal())
    )
    filled[unknown] = magnitude * solution
    return filled


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else 0.0
