"""Jets of a network: values, first and second derivatives in one pass, and back again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from skinr.double_backward import DoubleBackwardPass
from skinr.jet_algebra import QuadraticForm
from skinr.network import SirenStack
from skinr.passes import EVALUATION_CHUNK, ROW_MULTIPLE, as_rows, evaluate_in_chunks
from skinr.products import product, weight_gradient

JET_CHUNK = 3 * EVALUATION_CHUNK
"""Rows times components that pass through a network at a time when jets are evaluated."""


class JetPass:
    r"""Forward and backward passes of a stack with derivatives by the coordinates.

    Value, gradient and second-order terms of a row are carried through the layers together, as C
    components that share the matrix products. With :math:`z = W x + b` (frequency folded in) and
    its derivatives :math:`z_i` by the coordinates, a sine layer gives :math:`\sin z`,
    :math:`\cos z\, z_i`, and, for an operator :math:`\sum a_{ij} \partial_i \partial_j` that z
    has the value q of, :math:`\cos z\, q - \sin z \sum a_{ij} z_i z_j`: the Laplacian costs one
    component, not one for each coordinate ([1]_, section 2).

    Parameters
    ----------
    stack : SirenStack
        The networks; their parameters are read at every pass.
    batch_size : int
        Number of rows B of every batch.
    operators : sequence of QuadraticForm, default=()
        The second-order components.
    backward : bool, default=True
        Whether :meth:`backward` will be called.

    References
    ----------
    .. [1] Li, Ye, Zhang, Wen, Chen, Wang, et al. A computational framework for neural network-based
       variational Monte Carlo with Forward Laplacian. Nature Machine Intelligence 2024.
       arXiv:2307.08214.
    """

    def __init__(
        self,
        stack: SirenStack,
        batch_size: int,
        operators: Sequence[QuadraticForm] = (),
        *,
        backward: bool = True,
    ) -> None:
        architecture = stack.architecture
        self._layers = stack.layers(stack.parameters)
        self._is_sine = architecture.is_sine
        self._operators = operators
        self._n_features = architecture.n_features
        n_components = 1 + architecture.n_features + len(operators)
        widths = [fan_out for _, fan_out in architecture.layer_shapes]

        def buffers(*components: int) -> list[Tensor]:
            shape = len(stack), *components, batch_size
            return [stack.parameters.new_empty(*shape, width) for width in widths]

        self._affine = buffers(n_components)
        self._activations = buffers(n_components) if backward else self._affine
        self._cosines = buffers()
        self._curvatures = [buffers() for _ in operators]
        if backward:
            self._adjoints = buffers(n_components)
            self._gradient = torch.empty_like(stack.parameters)
            self._gradients = stack.layers(self._gradient)

    def forward(self, coordinates: Tensor) -> Tensor:
        """Evaluate the K networks and their derivatives by the coordinates.

        Parameters
        ----------
        coordinates : Tensor of shape (K, B, n_features) or (1, B, n_features)
            Rows of each network, or rows that all share.

        Returns
        -------
        jets : Tensor of shape (K, C, B, n_outputs)
            The values, their derivatives by each coordinate, and what the operators give. A
            buffer, overwritten by the next pass.
        """
        self._coordinates = coordinates.expand(len(self._affine[0]), -1, -1)
        for index, (weight, bias) in enumerate(self._layers):
            affine = self._affine[index]
            if index == 0:
                torch.baddbmm(bias, self._coordinates, weight, out=affine[:, 0])
                affine[:, 1 : 1 + self._n_features] = weight[:, :, None]
                affine[:, 1 + self._n_features :] = 0
            else:
                product(as_rows(self._activations[index - 1]), weight, None, as_rows(affine))
                affine[:, 0] += bias
            if self._is_sine(index):
                self._sine(index)
        return self._activations[-1] if self._is_sine(-1) else self._affine[-1]

    def backward(self, jet_gradient: Tensor) -> Tensor:
        """Differentiate a loss of the last forward pass by the parameters.

        Parameters
        ----------
        jet_gradient : Tensor of shape (K, C, B, n_outputs)
            Derivative of the loss by the jets; overwritten where the output is a sine.

        Returns
        -------
        gradient : Tensor of shape (K, n_parameters)
            Derivative of the loss by the folded parameters; a buffer.
        """
        adjoint = jet_gradient
        for index in reversed(range(len(self._layers))):
            if self._is_sine(index):
                self._sine_backward(index, adjoint)
            by_weight, by_bias = self._gradients[index]
            torch.sum(adjoint[:, 0], dim=1, keepdim=True, out=by_bias)
            if index == 0:
                torch.bmm(self._coordinates.transpose(1, 2), adjoint[:, 0], out=by_weight)
                by_weight += adjoint[:, 1 : 1 + self._n_features].sum(dim=2)
            else:
                weight, _ = self._layers[index]
                activation = as_rows(self._activations[index - 1])
                weight_gradient(activation, as_rows(adjoint), by_weight)
                below = self._adjoints[index - 1]
                product(as_rows(adjoint), weight.mT, None, as_rows(below))
                adjoint = below
        return self._gradient

    def _sine(self, index: int) -> None:
        """Compute a layer's activations from its affine values."""
        affine, activation = self._affine[index], self._activations[index]
        cosine, n_features = self._cosines[index], self._n_features
        for curvatures, operator in zip(self._curvatures, self._operators, strict=True):
            curvatures[index].zero_()
            for i, j, factor in operator:
                curvatures[index].addcmul_(affine[:, 1 + i], affine[:, 1 + j], value=factor)
        torch.cos(affine[:, 0], out=cosine)
        torch.sin(affine[:, 0], out=activation[:, 0])
        torch.mul(affine[:, 1:], cosine[:, None], out=activation[:, 1:])
        for component, curvatures in enumerate(self._curvatures, start=1 + n_features):
            activation[:, component].addcmul_(activation[:, 0], curvatures[index], value=-1)

    def _sine_backward(self, index: int, adjoint: Tensor) -> None:
        """Turn the derivative by a layer's activations into that by its affine values, in place."""
        affine, cosine = self._affine[index], self._cosines[index]
        sine = self._activations[index][:, 0]
        first = 1 + self._n_features
        by_sine = affine[:, 1] * adjoint[:, 1]
        for component in range(2, affine.shape[1]):
            by_sine.addcmul_(affine[:, component], adjoint[:, component])
        by_curvature = [-sine * adjoint[:, first + q] for q in range(len(self._operators))]
        adjoint.mul_(cosine[:, None])
        adjoint[:, 0].addcmul_(sine, by_sine, value=-1)
        for q, operator in enumerate(self._operators):
            adjoint[:, 0].addcmul_(self._curvatures[q][index], adjoint[:, first + q], value=-1)
            for i, j, factor in operator:
                adjoint[:, 1 + i].addcmul_(by_curvature[q], affine[:, 1 + j], value=factor)
                adjoint[:, 1 + j].addcmul_(by_curvature[q], affine[:, 1 + i], value=factor)


def make_jet_pass(
    stack: SirenStack,
    batch_size: int,
    operators: Sequence[QuadraticForm],
    *,
    backward: bool = True,
) -> JetPass | DoubleBackwardPass:
    """Return passes in the mode that needs fewer products.

    Reverse mode takes one more pass for each output, forward mode one for each coordinate.
    """
    if operators or not stack.architecture.favours_reverse_mode:
        return JetPass(stack, batch_size, operators, backward=backward)
    return DoubleBackwardPass(stack, batch_size)


def evaluate_jets(
    stack: SirenStack, coordinates: Tensor, operators: Sequence[QuadraticForm] = ()
) -> Tensor:
    """Evaluate K networks with their derivatives at any number of positions.

    Parameters
    ----------
    stack : SirenStack
    coordinates : Tensor of shape (K, n_rows, n_features) or (1, n_rows, n_features)
    operators : sequence of QuadraticForm, default=()

    Returns
    -------
    jets : Tensor of shape (K, n_rows, C, n_outputs)
        The values, their derivatives by each coordinate, and what the operators give.
    """
    n_components = 1 + stack.architecture.n_features + len(operators)
    multiples = JET_CHUNK // n_components // ROW_MULTIPLE

    def make_function(n_rows: int) -> Callable[[Tensor], Tensor]:
        jet_pass = make_jet_pass(stack, n_rows, operators, backward=False)
        return lambda chunk: jet_pass.forward(chunk).transpose(1, 2)

    return evaluate_in_chunks(stack, make_function, coordinates, max(1, multiples) * ROW_MULTIPLE)
