import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_network import architectures, make_stack

from skinr.network import Architecture
from skinr.passes import StackPass, evaluate

pytestmark = pytest.mark.slow


@given(architectures, st.lists(st.floats(0.5, 30), min_size=1, max_size=3))
def test_stack_equals_its_networks(architecture, omegas):
    stack = make_stack(architecture, omegas, dtype=torch.float64)
    X = torch.rand(len(omegas), 70, architecture.n_features, dtype=torch.float64)
    together = evaluate(stack, X)
    for k in range(len(omegas)):
        torch.testing.assert_close(together[k], stack.network(k)(X[k]), atol=1e-10, rtol=0)


@given(architectures, st.lists(st.floats(0.5, 30), min_size=1, max_size=3), st.booleans())
def test_backward_agrees_with_autograd(architecture, omegas, shared_rows):
    stack = make_stack(architecture, omegas, dtype=torch.float64)
    n_sets = 1 if shared_rows else len(omegas)
    X = torch.rand(n_sets, 11, architecture.n_features, dtype=torch.float64)
    output_gradient = torch.rand(len(omegas), 11, architecture.n_outputs, dtype=torch.float64)
    stack_pass = StackPass(stack, 11)
    stack_pass.forward(X)
    gradient = stack_pass.backward(output_gradient.clone()) * stack.frequencies
    for k in range(len(omegas)):
        network = stack.network(k)
        values = network(X[k if n_sets > 1 else 0])
        (values * output_gradient[k]).sum().backward()
        for linear, (weight, bias) in zip(network.linears, stack.layers(gradient), strict=True):
            torch.testing.assert_close(linear.weight.grad.T, weight[k], atol=1e-9, rtol=1e-9)
            torch.testing.assert_close(linear.bias.grad, bias[k, 0], atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("output_activation", ["identity", "sine"])
def test_backward_agrees_with_finite_differences(output_activation):
    architecture = Architecture(2, (5, 4), 2, output_activation)
    stack = make_stack(architecture, [3.0], dtype=torch.float64)
    X = torch.rand(1, 9, 2, dtype=torch.float64)
    output_gradient = torch.rand(1, 9, 2, dtype=torch.float64)
    stack_pass = StackPass(stack, 9)

    def loss():
        return (stack_pass.forward(X) * output_gradient).sum().item()

    loss()
    gradient = stack_pass.backward(output_gradient.clone()).clone()
    step = 1e-6
    for index in range(architecture.n_parameters):
        stack.parameters[0, index] += step
        above = loss()
        stack.parameters[0, index] -= 2 * step
        below = loss()
        stack.parameters[0, index] += step
        assert gradient[0, index].item() == pytest.approx((above - below) / (2 * step), abs=1e-7)


def test_backward_of_wide_networks_on_many_rows_agrees_with_float64():
    architecture = Architecture(2, (128, 160), 3)
    stack = make_stack(architecture, [30.0, 5.0])
    exact = stack.to(torch.device("cpu"), torch.float64)
    X, output_gradient = torch.rand(1, 1024, 2), torch.rand(2, 1024, 3)
    results = []
    for some_stack in (stack, exact):
        dtype = some_stack.parameters.dtype
        stack_pass = StackPass(some_stack, 1024)
        values = stack_pass.forward(X.to(dtype)).double()
        results.append((values, stack_pass.backward(output_gradient.to(dtype)).double()))
    for approximate, expected in zip(*results, strict=True):
        torch.testing.assert_close(approximate, expected, atol=2e-3, rtol=2e-3)
