import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_jets import autograd_jets, stacks

from skinr.double_backward import DoubleBackwardPass

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("n_features", [1, 2, 3])
@given(data=st.data(), shared=st.booleans())
def test_passes_agree_with_autograd(n_features, data, shared):
    stack = data.draw(stacks(n_features))
    shape = 1 if shared else 2, 11, n_features
    parameters = stack.parameters.clone().requires_grad_(True)
    double_backward_pass = DoubleBackwardPass(stack, 11)
    for seed in range(2):
        draw = torch.Generator().manual_seed(seed)
        coordinates = torch.rand(shape, generator=draw, dtype=torch.float64)
        expected = autograd_jets(stack, parameters, coordinates.expand(2, -1, -1), operators=[])
        jets = double_backward_pass.forward(coordinates)
        torch.testing.assert_close(jets, expected.detach())
        jet_gradient = torch.rand(expected.shape, generator=draw, dtype=torch.float64)
        (by_parameters,) = torch.autograd.grad((expected * jet_gradient).sum(), parameters)
        torch.testing.assert_close(
            double_backward_pass.backward(jet_gradient.clone()), by_parameters
        )
