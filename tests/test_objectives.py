import pytest
import torch
from test_losses import REFERENCES

from skinr.jets import evaluate_jets
from skinr.network import Architecture, SirenStack
from skinr.objectives import JetObjective, Objective, Term
from skinr.rows import TrainingRows


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.1, (0.1, 0.0)])
@pytest.mark.parametrize("output_activation", ["identity", "sine"])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_objective_agrees_with_autograd(name, weighted, alpha, output_activation, depth):
    omegas = [3.0, 8.0]
    generators = [torch.Generator().manual_seed(k) for k in range(2)]
    architecture = Architecture(2, (7,) * depth, 3, output_activation)
    stack = SirenStack.initialize(architecture, omegas, omegas, generators, dtype=torch.float64)
    draw = torch.Generator().manual_seed(5)
    rows = TrainingRows(
        torch.rand(1, 20, 2, generator=draw, dtype=torch.float64),
        torch.rand(2, 20, 3, generator=draw, dtype=torch.float64),
        torch.rand(2, 20, 1, generator=draw, dtype=torch.float64) if weighted else None,
    )
    objective = Objective(stack, name, alpha)
    losses, gradient = objective.loss_and_gradient(rows)
    for k in range(2):
        network = stack.network(k)
        weight = rows.weight[k] if weighted else torch.ones(1)
        errors = REFERENCES[name](network(rows.coordinates[0]) - rows.targets[k], weight)
        squares = sum(linear.weight.square().sum() for linear in network.linears)
        own_alpha = alpha[k] if isinstance(alpha, tuple) else alpha
        expected = (weight * errors).mean() + own_alpha / 2 * squares
        expected.backward()
        torch.testing.assert_close(losses[k], expected.detach())
        by_weight = stack.layers(gradient * stack.frequencies)
        for linear, (weight_part, bias_part) in zip(network.linears, by_weight, strict=True):
            torch.testing.assert_close(linear.weight.grad.T, weight_part[k])
            torch.testing.assert_close(linear.bias.grad, bias_part[k, 0])


def test_all_parameters_are_held_near_an_anchor():
    omegas, alpha = [3.0, 8.0], (0.1, 0.3)
    generators = [torch.Generator().manual_seed(k) for k in range(2)]
    stack = SirenStack.initialize(
        Architecture(2, (7, 7), 1), omegas, omegas, generators, dtype=torch.float64
    )
    coordinates, targets = torch.rand(3, 1, 20, 1, dtype=torch.float64).split([2, 1])
    rows = TrainingRows(coordinates.permute(1, 2, 0, 3)[..., 0], targets[0], None)
    losses, gradient = Objective(stack, "huber", 0.0).loss_and_gradient(rows)
    anchor = stack.parameters + torch.rand_like(stack.parameters)
    anchored = Objective(stack, "huber", alpha, anchor)
    parameters = stack.parameters.clone().requires_grad_()
    moved = (parameters - anchor) / stack.frequencies
    penalty = torch.tensor(alpha) / 2 * moved.square().sum(dim=1)
    penalty.sum().backward()
    anchored_losses, anchored_gradient = anchored.loss_and_gradient(rows)
    torch.testing.assert_close(anchored_losses, losses + penalty.detach())
    torch.testing.assert_close(anchored_gradient, gradient + parameters.grad)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("full", [False, True])
def test_objective_of_jets_agrees_with_autograd(name, weighted, full):
    generators = [torch.Generator().manual_seed(k) for k in range(2)]
    stack = SirenStack.initialize(
        Architecture(1, (7, 7), 2), [2.0, 3.0], [3.0, 2.0], generators, dtype=torch.float64
    )
    draw = torch.Generator().manual_seed(5)
    coordinates = torch.rand(1, 20, 1, generator=draw, dtype=torch.float64)
    targets = torch.rand(1, 20, 6, generator=draw, dtype=torch.float64)
    if not full:
        targets[torch.rand(targets.shape, generator=draw) < 0.4] = torch.nan
    weight = torch.rand(1, 20, 1, generator=draw, dtype=torch.float64) if weighted else None
    units = [torch.tensor([2.0, 5.0], dtype=torch.float64) for _ in range(3)]
    terms = [
        Term(slice(k, k + 1), slice(2 * k, 2 * k + 2), unit, k + 1.0)
        for k, unit in enumerate(units)
    ]
    objective = JetObjective(stack, name, 0.1, terms, [[(0, 0, 1.0)]])
    losses, gradient = objective.loss_and_gradient(TrainingRows(coordinates, targets, weight))

    parameters = stack.parameters.clone().requires_grad_(True)
    position = coordinates.expand(2, -1, -1).clone().requires_grad_(True)
    outputs = position
    for index, (matrix, bias) in enumerate(stack.layers(parameters)):
        outputs = outputs @ matrix + bias
        outputs = outputs.sin() if index < 2 else outputs

    def derive(part):
        columns = [
            torch.autograd.grad(column.sum(), position, create_graph=True)[0]
            for column in part.unbind(-1)
        ]
        return torch.cat(columns, dim=-1)

    expected = 0.05 * (parameters / stack.frequencies).square()
    biases = stack.layers(expected)
    expected = expected.sum(dim=1) - sum(bias.sum(dim=(1, 2)) for _, bias in biases)
    parts = [outputs, derive(outputs), derive(derive(outputs))]
    for term, part in zip(terms, parts, strict=True):
        target = targets[..., term.columns]
        known = ~target.isnan()
        share = known * (1.0 if weight is None else weight)
        error = REFERENCES[name](part / term.unit - target.nan_to_num(0), share)
        expected = expected + term.weight * (share * error).sum(dim=(1, 2)) / share.sum()
    torch.testing.assert_close(losses, expected.detach())
    (by_parameters,) = torch.autograd.grad(expected.sum(), parameters)
    torch.testing.assert_close(gradient, by_parameters)


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_of_jets_have_the_squared_errors_of_the_objective(weighted):
    stack = SirenStack.initialize(
        Architecture(2, (7,), 2), [2.0], [3.0], [torch.Generator().manual_seed(0)]
    )
    draw = torch.Generator().manual_seed(5)
    targets = torch.rand(1, 20, 8, generator=draw)
    targets[torch.rand(targets.shape, generator=draw) < 0.4] = torch.nan
    weight = torch.rand(1, 20, 1, generator=draw) if weighted else None
    rows = TrainingRows(torch.rand(1, 20, 2, generator=draw), targets, weight)
    unit = torch.tensor([2.0, 5.0])
    terms = [
        Term(slice(0, 1), slice(0, 2), unit, 1.0),
        Term(slice(1, 3), slice(2, 6), 3 * unit, 0.5),
        Term(slice(3, 4), slice(6, 8), unit, 0.0),
    ]
    operator = [(0, 0, 1.0), (1, 1, 1.0)]
    objective = JetObjective(stack, "squared_error", 0.0, terms, [operator])
    jet_rows = objective.jet_rows(rows)
    jets = evaluate_jets(stack, rows.coordinates, [operator])[0].transpose(0, 1)
    residual = (jets - jet_rows.targets) * jet_rows.root_weight
    losses, _ = objective.loss_and_gradient(rows)
    known = jet_rows.root_weight > 0
    assert not known[3].any()
    torch.testing.assert_close(residual[known].square().mean(), losses[0])
