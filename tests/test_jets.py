import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skinr.jets import JetPass, evaluate_jets
from skinr.network import Architecture, SirenStack

pytestmark = pytest.mark.slow

OPERATORS = [[(0, 0, 1.0), (1, 1, 0.5)], [(0, 1, 1.0)]]


@st.composite
def stacks(draw, n_features=2):
    """Two networks that differ in weights and frequencies, in float64."""
    architecture = Architecture(
        n_features,
        tuple(draw(st.lists(st.integers(1, 8), min_size=1, max_size=3))),
        draw(st.integers(1, 3)),
        draw(st.sampled_from(["identity", "sine"])),
    )
    generators = [torch.Generator().manual_seed(draw(st.integers(0, 9))) for _ in range(2)]
    return SirenStack.initialize(
        architecture, [1.0, 5.0], [4.0, 2.0], generators, dtype=torch.float64
    )


def autograd_jets(stack, parameters, coordinates, operators=OPERATORS):
    """Values, gradients and what the operators give, of shape (K, C, B, n_outputs)."""
    coordinates = coordinates.clone().requires_grad_(True)
    outputs = coordinates
    layers = stack.layers(parameters)
    for index, (weight, bias) in enumerate(layers):
        outputs = outputs @ weight + bias
        if index < len(layers) - 1 or stack.architecture.output_activation == "sine":
            outputs = outputs.sin()

    def derive(part):
        columns = [
            torch.autograd.grad(column.sum(), coordinates, create_graph=True)[0]
            for column in part.unbind(-1)
        ]
        return torch.stack(columns, dim=-1).unbind(2)

    first = derive(outputs)
    second = [derive(part) for part in first] if operators else []
    terms = [sum(a * second[i][j] for i, j, a in operator) for operator in operators]
    return torch.stack([outputs, *first, *terms], dim=1)


@given(stack=stacks(), shared=st.booleans())
def test_passes_agree_with_autograd(stack, shared):
    draw = torch.Generator().manual_seed(0)
    coordinates = torch.rand(1 if shared else 2, 11, 2, generator=draw, dtype=torch.float64)
    parameters = stack.parameters.clone().requires_grad_(True)
    expected = autograd_jets(stack, parameters, coordinates.expand(2, -1, -1))
    jet_pass = JetPass(stack, 11, OPERATORS)
    torch.testing.assert_close(jet_pass.forward(coordinates), expected.detach())
    jet_gradient = torch.rand(expected.shape, generator=draw, dtype=torch.float64)
    (by_parameters,) = torch.autograd.grad((expected * jet_gradient).sum(), parameters)
    torch.testing.assert_close(jet_pass.backward(jet_gradient.clone()), by_parameters)


@given(stack=stacks(), n_rows=st.sampled_from([1, 7, 8, 5000]))
def test_evaluations_agree_with_one_pass(stack, n_rows):
    coordinates = torch.rand(1, n_rows, 2, dtype=torch.float64)
    expected = JetPass(stack, n_rows, OPERATORS).forward(coordinates).transpose(1, 2)
    torch.testing.assert_close(evaluate_jets(stack, coordinates, OPERATORS), expected)
    torch.testing.assert_close(evaluate_jets(stack, coordinates), expected[:, :, :3])


@pytest.mark.parametrize("n_features", [1, 4])
@given(data=st.data())
def test_reverse_and_forward_mode_agree(n_features, data):
    stack = data.draw(stacks(n_features))
    coordinates = torch.rand(2, 20, n_features, dtype=torch.float64)
    expected = JetPass(stack, 20, backward=False).forward(coordinates).transpose(1, 2)
    torch.testing.assert_close(evaluate_jets(stack, coordinates), expected)
