import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skinr.network import Architecture, Siren, SirenStack

architectures = st.builds(
    Architecture,
    n_features=st.integers(1, 3),
    hidden_layer_sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
    n_outputs=st.integers(1, 3),
    output_activation=st.sampled_from(["identity", "sine"]),
)


def make_stack(architecture, omegas, seed=0, **options):
    generators = [torch.Generator().manual_seed(seed + k) for k in range(len(omegas))]
    hidden_omegas = [omega / 2 for omega in omegas]
    return SirenStack.initialize(architecture, omegas, hidden_omegas, generators, **options)


def numpy_siren(network, X):
    """The paper's equations in numpy, from the module's own weights."""
    activation = X
    for index, linear in enumerate(network.linears):
        omega = network.omega_0 if index == 0 else network.hidden_omega_0
        affine = activation @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
        activation = np.sin(omega * affine)
    return affine if network.architecture.output_activation == "identity" else activation


@given(architectures, st.floats(0.5, 60))
def test_module_computes_the_papers_equations(architecture, omega):
    network = make_stack(architecture, [omega], dtype=torch.float64).network(0)
    X = np.random.default_rng(0).uniform(-1, 1, (20, architecture.n_features))
    np.testing.assert_allclose(
        network(torch.from_numpy(X)).detach().numpy(), numpy_siren(network, X), atol=1e-10
    )


@given(architectures, st.lists(st.floats(0.5, 30), min_size=1, max_size=3))
def test_join_puts_together_what_take_takes_out(architecture, omegas):
    stack = make_stack(architecture, omegas)
    joined = SirenStack.join([stack.take(k) for k in range(len(omegas))])
    assert (joined.omega_0, joined.hidden_omega_0) == (stack.omega_0, stack.hidden_omega_0)
    assert torch.equal(joined.parameters, stack.parameters)
    assert torch.equal(joined.frequencies, stack.frequencies)
    joined.parameters.zero_()
    assert stack.parameters.any()


@given(architectures, st.floats(0.5, 60))
def test_networks_to_stack_and_back(architecture, omega):
    stack = make_stack(architecture, [omega, 2 * omega], dtype=torch.float64)
    again = SirenStack.from_networks([stack.network(0), stack.network(1)])
    torch.testing.assert_close(again.parameters, stack.parameters, rtol=1e-14, atol=0)
    torch.testing.assert_close(again.frequencies, stack.frequencies)


@pytest.mark.parametrize(
    ("first_layer_init", "bound"), [("paper", 1 / 4), ("lecture", 1 / 2)], ids=str
)
@pytest.mark.parametrize("weight_scale", [1.0, 2.5])
def test_initial_weights_fill_the_papers_ranges(first_layer_init, bound, weight_scale):
    architecture = Architecture(4, (300, 200), 50)
    network = make_stack(
        architecture, [30.0], first_layer_init=first_layer_init, weight_scale=weight_scale
    ).network(0)
    first, hidden, output = (linear.weight.abs().max().item() for linear in network.linears)
    assert first == pytest.approx(weight_scale * bound, rel=0.01)
    assert hidden == pytest.approx(weight_scale * np.sqrt(6 / 300) / 15, rel=0.01)
    assert output == pytest.approx(np.sqrt(6 / 200) / 15, rel=0.01)
    assert network.linears[0].bias.abs().max().item() == pytest.approx(1 / 2, rel=0.05)


def test_hidden_activations_keep_their_distribution():
    """Theorem 1.8 of the paper's supplement: arcsine activations, pre-activations N(0, 1)."""
    network = make_stack(Architecture(1, (512,) * 4, 1), [30.0]).network(0)
    for linear in network.linears:
        torch.nn.init.zeros_(linear.bias)
    X = torch.linspace(-1, 1, 500)[:, None]
    with torch.no_grad():
        for before, after in list(network.layer_activations(X))[1:-1]:
            assert before.std().item() == pytest.approx(1, abs=0.15)
            assert after.square().mean().item() == pytest.approx(0.43, abs=0.05)


def test_the_lectures_network_has_its_parameters():
    assert Architecture(2, (128,) * 4, 1).n_parameters == 50_049


def test_a_network_of_a_stack_is_the_network_alone():
    architecture = Architecture(2, (16, 16), 1)
    stack = make_stack(architecture, [5.0, 5.0, 5.0], seed=3)
    alone = make_stack(architecture, [5.0], seed=4)
    assert torch.equal(stack.parameters[1], alone.parameters[0])


def test_module_is_a_plain_module():
    network = make_stack(Architecture(2, (8,), 1), [30.0]).network(0)
    again = Siren(network.architecture, network.omega_0, network.hidden_omega_0)
    again.load_state_dict(network.state_dict())
    X = torch.rand(5, 2, requires_grad=True)
    assert torch.equal(network(X), again(X))
    (gradient,) = torch.autograd.grad(network(X).sum(), X)
    assert gradient.isfinite().all()


def test_initialisation_leaves_the_global_generator():
    before = torch.random.get_rng_state()
    make_stack(Architecture(2, (8,), 1), [30.0]).network(0)
    assert torch.equal(before, torch.random.get_rng_state())
