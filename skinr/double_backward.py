"""Values and gradients of a network in reverse mode, and backward through both."""

from __future__ import annotations

import torch
from torch import Tensor

from skinr.network import SirenStack
from skinr.passes import as_rows
from skinr.products import product, weight_gradient


class DoubleBackwardPass:
    r"""Forward and backward passes of a stack with its gradients, by two backward passes.

    The interface is that of :class:`~skinr.jets.JetPass` without operators, and so are the results
    but for rounding. For each of p outputs the derivative g by what a layer takes in goes down,

    .. math:: u_l = \cos z_l \, g_{l+1}, \qquad g_l = u_l W_l^T,

    and the derivative of the loss by it, v, goes up again, on its way to that by z:

    .. math::
        v_{l+1} = \cos z_l \, v_l W_l, \qquad
        \bar z_l = \cos z_l \, \bar z_{l+1} W_{l+1}^T - \sin z_l \, g_{l+1} \, v_l W_l

    summed over outputs ([1]_ for the scheme). A layer takes 3 (1 + p) products of its size, where
    jets take 3 (1 + n_features).

    Parameters
    ----------
    stack : SirenStack
        The networks; their parameters are read at every pass.
    batch_size : int
        Number of rows B of every batch.

    References
    ----------
    .. [1] Drucker, Le Cun. Improving Generalization Performance Using Double Backpropagation. IEEE
       Transactions on Neural Networks 3(6), 1992.
    """

    def __init__(self, stack: SirenStack, batch_size: int) -> None:
        architecture = stack.architecture
        n_outputs = architecture.n_outputs
        self._layers = stack.layers(stack.parameters)
        self._is_sine = architecture.is_sine
        fan_ins, fan_outs = zip(*architecture.layer_shapes, strict=True)

        def buffer(n_components: int, width: int) -> Tensor:
            return stack.parameters.new_empty(len(stack), n_components, batch_size, width)

        self._lower = [buffer(1 + n_outputs, width) for width in fan_ins]
        self._upper = [buffer(1 + n_outputs, width) for width in fan_outs]
        self._cosines = [buffer(1, width) for width in fan_outs]
        self._slopes = [buffer(n_outputs, width) for width in (*fan_ins, n_outputs)]
        self._slopes[-1].copy_(torch.eye(n_outputs, device="cpu")[:, None])
        self._upper[-1][:, 1:] = self._slopes[-1]
        self._jets = buffer(1 + architecture.n_features, n_outputs)
        self._outputs = [part[:, 0] for part in (*self._lower[1:], self._jets)]
        self._rising = [*(part[:, 1:] for part in self._lower), buffer(n_outputs, n_outputs)]
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
        jets : Tensor of shape (K, 1 + n_features, B, n_outputs)
            The values, and their derivatives by each coordinate. A buffer, overwritten by the next
            pass.
        """
        self._lower[0][:, 0] = coordinates
        for index, (weight, bias) in enumerate(self._layers):
            output = self._outputs[index]
            product(self._lower[index][:, 0], weight, bias, output)
            if self._is_sine(index):
                torch.cos(output, out=self._cosines[index][:, 0])
                torch.sin(output, out=output)
        for index, (weight, _) in reversed(list(enumerate(self._layers))):
            by_sums = self._upper[index][:, 1:]
            if self._is_sine(index):
                torch.mul(self._slopes[index + 1], self._cosines[index], out=by_sums)
            product(as_rows(by_sums), weight.mT, None, as_rows(self._slopes[index]))
        self._jets[:, 1:] = self._slopes[0].transpose(1, 3)
        return self._jets

    def backward(self, jet_gradient: Tensor) -> Tensor:
        """Differentiate a loss of the last forward pass by the parameters.

        Parameters
        ----------
        jet_gradient : Tensor of shape (K, 1 + n_features, B, n_outputs)
            Derivative of the loss by the jets; overwritten.

        Returns
        -------
        gradient : Tensor of shape (K, n_parameters)
            Derivative of the loss by the folded parameters; a buffer.
        """
        self._rising[0].copy_(jet_gradient[:, 1:].transpose(1, 3))
        for index in range(len(self._layers)):
            if self._is_sine(index):
                self._rise(index)
        by_output = jet_gradient[:, 0]
        for index, (weight, _) in reversed(list(enumerate(self._layers))):
            lower, upper = self._lower[index], self._upper[index]
            by_sum = upper[:, 0]
            if self._is_sine(index):
                by_output.mul_(self._cosines[index][:, 0])
                torch.addcmul(by_output, by_sum, self._outputs[index], value=-1, out=by_sum)
            else:
                by_sum.copy_(by_output)
            by_weight, by_bias = self._gradients[index]
            weight_gradient(as_rows(lower), as_rows(upper), by_weight)
            torch.sum(by_sum, dim=1, keepdim=True, out=by_bias)
            if index > 0:
                by_output = lower[:, 1]
                product(by_sum, weight.mT, None, by_output)
        return self._gradient

    def _rise(self, index: int) -> None:
        """Take the derivative by slopes one layer up, and leave the factor of its sine behind."""
        weight, _ = self._layers[index]
        slopes, rising = self._slopes[index + 1], self._rising[index + 1]
        by_sum = self._upper[index][:, 0]
        product(as_rows(self._rising[index]), weight, None, as_rows(rising))
        torch.mul(slopes[:, 0], rising[:, 0], out=by_sum)
        for output in range(1, slopes.shape[1]):
            by_sum.addcmul_(slopes[:, output], rising[:, output])
        rising.mul_(self._cosines[index])
