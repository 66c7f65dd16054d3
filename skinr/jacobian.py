"""What a network gives for the rows of a small table, and how that changes with its weights."""

from __future__ import annotations

from itertools import product
from math import ceil
from typing import NamedTuple

import torch
from sklearn.utils import gen_even_slices
from torch import Tensor, nn

from skinr.jet_algebra import JetAlgebra
from skinr.jet_rows import JetRows
from skinr.network import SirenStack

BLOCK = 192
"""Rows of the matrix of all rows that are filled at a time: what the caches hold, and so few that
little is filled above the diagonal, which nobody looks at."""


class Observations:
    """What is known of a table's rows, as the vectors (m,) that least squares are about.

    Parameters
    ----------
    rows : JetRows
        In float64 on the CPU.

    Attributes
    ----------
    algebra : JetAlgebra
        Of the jets (C, n, p) of values and derivatives.
    coordinates : Tensor of shape (C, n, n_features)
        Their own jets.
    terms : list of (observed, of_input, of_sensitivity, factor)
        The summands of each observed component of the product of an input and a sensitivity.
    outputs : Tensor of shape (k,)
        Those of which anything is known.
    shape : torch.Size
        Number of observed components, of rows, and k.
    known : Tensor of shape (m,)
        Where they are among those of that shape.
    root_weight : Tensor of shape (m,)
    targets : Tensor of shape (m,)
    """

    def __init__(self, rows: JetRows) -> None:
        self.algebra = JetAlgebra(len(rows.targets) - 1 - len(rows.operators), rows.operators)
        self.coordinates = self.algebra.coordinates(rows.coordinates)
        self._components = rows.root_weight.any(dim=2).any(dim=1).nonzero()[:, 0]
        self.outputs = rows.root_weight.any(dim=1).any(dim=0).nonzero()[:, 0]
        self.terms = [
            (q, *term)
            for q, component in enumerate(self._components)
            for term in self.algebra.products[component]
        ]
        root_weight = self._observed(rows.root_weight)
        self.shape = root_weight.shape
        self.known = root_weight.flatten().nonzero()[:, 0]
        self.root_weight = root_weight.take(self.known)
        self.targets = self._observed(rows.targets).take(self.known)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.known)

    @property
    def power(self) -> float:
        """The weighted mean square of the targets."""
        return float((self.targets * self.root_weight).square().mean())

    def residual(self, jets: Tensor) -> Tensor:
        """Return the weighted residuals (m,) of predictions (C, n, p)."""
        return (self.targets - self._observed(jets).take(self.known)) * self.root_weight

    def gather(self, observed: Tensor) -> Tensor:
        """Return the weighted numbers (m,) among observed components, of `shape`."""
        return observed.take(self.known) * self.root_weight

    def scatter(self, gathered: Tensor) -> Tensor:
        """Return weighted numbers (m,) where they belong, 0 elsewhere, of `shape`."""
        scattered = gathered.new_zeros(self.shape)
        scattered.view(-1)[self.known] = gathered * self.root_weight
        return scattered

    def _observed(self, jets: Tensor) -> Tensor:
        return jets[self._components][..., self.outputs]


class Evaluation(NamedTuple):
    """A network at some weights.

    Parameters
    ----------
    parameters : Tensor of shape (1, n_parameters)
    inputs : list of Tensor (C, n, fan_in)
        Jets of what each layer takes in.
    cosines : list of Tensor (C, n, fan_out)
        Of what each sine layer sums up.
    residual : Tensor of shape (m,)
        Known targets less predictions, times the roots of their weights.
    loss : float
        The mean square of `residual`.
    """

    parameters: Tensor
    inputs: list[Tensor]
    cosines: list[Tensor]
    residual: Tensor
    loss: float


def evaluate_network(stack: SirenStack, observed: Observations, parameters: Tensor) -> Evaluation:
    """Evaluate one network at weights (1, n_parameters), which are folded as those of the stack."""
    inputs, cosines = [], []
    jets = observed.coordinates
    for index, (weight, bias) in enumerate(stack.layers(parameters)):
        inputs.append(jets)
        jets = _affine(jets, weight, bias)
        if stack.architecture.is_sine(index):
            jets, cosine = observed.algebra.sine_and_cosine(jets)
            cosines.append(cosine)
    residual = observed.residual(jets)
    return Evaluation(parameters, inputs, cosines, residual, float(residual.square().mean()))


class Jacobian:
    r"""Derivatives J of the weighted predictions by the weights, as products of two factors.

    With h what a layer takes in and s the derivative of an output by what it sums up, the Jacobian
    of the output by the layer's weights is :math:`h s^T`, so that a layer adds
    :math:`(h \cdot h' + 1)(s \cdot s')` to :math:`J J^T`. Derivatives of the output have those of
    this product: sums of a few pairs of components of the jets of h and s.

    Parameters
    ----------
    stack : SirenStack
        Of one network, in float64 on the CPU.
    observed : Observations
    evaluation : Evaluation
        Where the derivatives are taken.
    """

    def __init__(self, stack: SirenStack, observed: Observations, evaluation: Evaluation) -> None:
        self._stack = stack
        self._observations = observed
        self._inputs = evaluation.inputs
        self._sensitivities = _sensitivities(stack, observed, evaluation)

    def gram(self) -> Tensor:
        """Return S = J J^T / m (m, m), a sum over layers: products of inputs times sensitivities'.

        Without derivatives only blocks of its lower triangle are filled, which is what is needed.
        """
        observed = self._observations
        gram = observed.targets.new_zeros(*observed.shape, *observed.shape)
        n_components, n_rows, _ = observed.shape
        for rows in gen_even_slices(n_rows, ceil(n_rows / BLOCK)):
            others = slice(rows.stop if n_components == 1 else n_rows)
            self._add_products(gram, rows, others)
        gram = gram.flatten(0, 2).flatten(1)
        if len(observed) < len(gram):
            gram = gram[observed.known[:, None], observed.known]
        return gram.mul_(observed.root_weight[:, None]).mul_(observed.root_weight).div_(len(gram))

    def times(self, direction: Tensor) -> Tensor:
        """Return the change (m,) of the predictions along a change of the folded parameters."""
        change = self._observations.targets.new_zeros(self._observations.shape)
        for layer_input, sensitivity, (weight, bias) in zip(
            self._inputs, self._sensitivities, self._stack.layers(direction), strict=True
        ):
            sums = _affine(layer_input, weight, bias)
            for q, a, b, factor in self._observations.terms:
                change[q].add_((sensitivity[b] @ sums[a, ..., None])[..., 0], alpha=factor)
        return self._observations.gather(change)

    def transpose_times(self, coefficients: Tensor) -> Tensor:
        """Return what a combination (m,) of the residuals asks of the folded parameters."""
        result = torch.empty_like(self._stack.parameters)
        scattered = self._observations.scatter(coefficients)
        for layer_input, sensitivity, (weight, bias) in zip(
            self._inputs, self._sensitivities, self._stack.layers(result), strict=True
        ):
            combined = torch.zeros_like(sensitivity[:, :, 0])
            for q, a, b, factor in self._observations.terms:
                combined[a].add_(
                    (sensitivity[b] * scattered[q, ..., None]).sum(dim=1), alpha=factor
                )
            weight[0] = layer_input.flatten(0, 1).T @ combined.flatten(0, 1)
            bias[0] = combined[0].sum(dim=0)
        return result * self._stack.frequencies.square()

    def _add_products(self, gram: Tensor, rows: slice, others: slice) -> None:
        """Fill a block of the matrix of all rows, of the shape of `Observations` twice."""
        squares = self._stack.layers(self._stack.frequencies.square())
        for layer_input, sensitivity, (square, _) in zip(
            self._inputs, self._sensitivities, squares, strict=True
        ):
            scale = float(square[0, 0, 0])
            ahead = _inner_products(layer_input[:, rows], layer_input[:, others])
            behind = _inner_products(sensitivity[:, rows], sensitivity[:, others])
            ahead[0, :, 0] += 1
            for (q, a, b, factor), (r, c, d, other) in product(self._observations.terms, repeat=2):
                gram[q, rows, :, r, others].addcmul_(
                    ahead[a, :, None, c, :, None],
                    behind[b, :, :, d],
                    value=scale * factor * other,
                )


def _sensitivities(
    stack: SirenStack, observed: Observations, evaluation: Evaluation
) -> list[Tensor]:
    """Return the jets (C, n, k, fan_out) of the known outputs' derivatives by layers' sums."""
    layers = stack.layers(evaluation.parameters)
    n_outputs = stack.architecture.n_outputs
    last = observed.coordinates.new_zeros(*observed.coordinates.shape[:2], n_outputs, n_outputs)
    last[0].diagonal(dim1=1, dim2=2).fill_(1)
    last = last[:, :, observed.outputs]
    if stack.architecture.is_sine(-1):
        last = observed.algebra.multiply(last, evaluation.cosines[-1][:, :, None])
    sensitivities = [last]
    for index in range(len(layers) - 1, 0, -1):
        (weight, _), cosine = layers[index], evaluation.cosines[index - 1]
        behind = sensitivities[0] @ weight[0].T
        sensitivities.insert(0, observed.algebra.multiply(behind, cosine[:, :, None]))
    return sensitivities


def _affine(jets: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return jets (C, n, fan_out) of a layer's sums from jets (C, n, fan_in)."""
    shift = nn.functional.pad(bias, (0, 0, 0, 0, 0, len(jets) - 1))
    return torch.baddbmm(shift, jets, weight.expand(len(jets), -1, -1))


def _inner_products(jets: Tensor, others: Tensor) -> Tensor:
    """Return the products (..., ...) of all pairs of vectors (..., width) of two sets of jets."""
    products = jets.flatten(0, -2) @ others.flatten(0, -2).T
    return products.view(*jets.shape[:-1], *others.shape[:-1])
