"""Hooks: what they see, what they change, and that they leave."""

import pytest
import torch
from torch import nn

from latentlab.spaces.hooks import find_layer, hooked


class Pair(nn.Module):
    def forward(self, x):
        return None, x, x + 1


def hooks(network) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


def test_outputs_are_seen_and_changed_inside_the_block_alone():
    layer, seen = nn.Linear(2, 2), []
    x = torch.ones(1, 2)
    plain = layer(x)
    with hooked(layer, seen.append):
        torch.testing.assert_close(layer(x), plain)
    with hooked(layer, lambda h: 2 * h):
        torch.testing.assert_close(layer(x), 2 * plain)
    torch.testing.assert_close(layer(x), plain)
    torch.testing.assert_close(seen, [plain])
    assert hooks(layer) == 0


def test_a_hook_leaves_also_when_the_block_fails():
    layer = nn.Identity()
    with pytest.raises(RuntimeError, match="stop"), hooked(layer, lambda h: h):
        raise RuntimeError("stop")
    assert hooks(layer) == 0


def test_of_several_outputs_it_is_the_first_tensor():
    layer = Pair()
    with hooked(layer, lambda h: h * 10):
        nothing, first, second = layer(torch.ones(1))
    assert nothing is None
    assert (float(first), float(second)) == (10, 2)
    with hooked(nothing_but := Nothing(), lambda h: h), pytest.raises(TypeError, match="returns list without a tensor"):
        nothing_but(torch.ones(1))


class Nothing(nn.Module):
    def forward(self, x):
        del x
        return []


def test_the_innermost_layer_is_found_in_networks_of_every_family():
    unet, transformer = nn.Module(), nn.Module()
    unet.mid_block = nn.Identity()
    transformer.blocks = nn.ModuleList(nn.Identity() for _ in range(5))
    assert find_layer([nn.Linear(1, 1), unet]) is unet.mid_block
    assert find_layer([transformer]) is transformer.blocks[2]
    assert find_layer([transformer], "blocks.4") is transformer.blocks[4]
    with pytest.raises(ValueError, match="no network has a layer called middle, mid_block, blocks"):
        find_layer([nn.Linear(1, 1)])
    with pytest.raises(ValueError, match=r"no layer 'blocks\.9'; there are blocks, and what is inside them"):
        find_layer([transformer], "blocks.9")
