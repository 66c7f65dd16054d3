"""The rules of the derivatives of products and of sines, for jets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

QuadraticForm = Sequence[tuple[int, int, float]]
r"""A second-order operator :math:`\sum a\, \partial_i \partial_j` as its (i, j, a)."""

Product = list[tuple[int, int, float]]
"""A component of a product of jets: (component of one, of the other, factor) of each summand."""


class JetAlgebra:
    r"""Products of jets, and their sines.

    The components of a jet are its value, then its derivatives by the coordinates, then what
    second-order operators give. With an operator :math:`L = \sum a_{ij} \partial_i \partial_j`,

    .. math::
        \partial_i(fg) &= f\,\partial_i g + \partial_i f\, g, \\
        L(fg) &= f\,Lg + Lf\,g + \sum a_{ij} (\partial_i f\,\partial_j g +
        \partial_j f\,\partial_i g), \\
        L(s \circ f) &= s'\,Lf + s'' \sum a_{ij}\,\partial_i f\,\partial_j f.

    Parameters
    ----------
    n_derivatives : int
        Number of first derivatives; 0 where jets are values alone.
    operators : sequence of QuadraticForm

    Attributes
    ----------
    products : list of Product
        How each component of a product comes about; first from the value of the one factor.
    """

    def __init__(self, n_derivatives: int, operators: Sequence[QuadraticForm]) -> None:
        self.products: list[Product] = [[(0, 0, 1.0)]]
        self._forms: list[tuple[int, Product]] = []
        for component in range(1, 1 + n_derivatives):
            self.products.append([(0, component, 1.0), (component, 0, 1.0)])
        for operator in operators:
            form: defaultdict[tuple[int, int], float] = defaultdict(float)
            for i, j, factor in operator:
                form[1 + i, 1 + j] += factor / 2
                form[1 + j, 1 + i] += factor / 2
            symmetric = [(i, j, factor) for (i, j), factor in form.items()]
            component = len(self.products)
            mixed = [(i, j, 2 * factor) for i, j, factor in symmetric]
            self.products.append([(0, component, 1.0), (component, 0, 1.0), *mixed])
            self._forms.append((component, symmetric))

    def __len__(self) -> int:
        """Return the number of components."""
        return len(self.products)

    def coordinates(self, values: Tensor) -> Tensor:
        """Return the jets of the coordinates themselves.

        Parameters
        ----------
        values : Tensor of shape (n_rows, n_features)

        Returns
        -------
        jets : Tensor of shape (n_components, n_rows, n_features)
        """
        jets = values.new_zeros(len(self), *values.shape)
        jets[0] = values
        for feature in range(min(values.shape[1], len(self) - 1)):
            jets[1 + feature, :, feature] = 1
        return jets

    def multiply(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the jets of a product.

        Parameters
        ----------
        left, right : Tensor of shape (n_components, ...)
            Of shapes that broadcast.

        Returns
        -------
        jets : Tensor of shape (n_components, ...)
        """
        jets = left[0] * right
        for component, (_, *others) in enumerate(self.products):
            for i, j, factor in others:
                jets[component].addcmul_(left[i], right[j], value=factor)
        return jets

    def sine_and_cosine(self, jets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the jets of the sine and of the cosine of jets.

        Parameters
        ----------
        jets : Tensor of shape (n_components, ...)

        Returns
        -------
        sine, cosine : Tensor of shape (n_components, ...)
        """
        sine, cosine = torch.empty_like(jets), torch.empty_like(jets)
        torch.sin(jets[0], out=sine[0])
        torch.cos(jets[0], out=cosine[0])
        torch.mul(jets[1:], cosine[0], out=sine[1:])
        torch.mul(jets[1:], sine[0], out=cosine[1:]).neg_()
        for component, form in self._forms:
            for i, j, factor in form:
                square = jets[i] * jets[j]
                sine[component].addcmul_(square, sine[0], value=-factor)
                cosine[component].addcmul_(square, cosine[0], value=-factor)
        return sine, cosine
