"""Directions that a function amplifies most: singular vectors of its Jacobian, without the Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from latentlab.checks import Count, Natural, Seed, as_numbers, clear_errors
from latentlab.directions.direction_set import DirectionSet
from latentlab.directions.finder import Finder
from latentlab.directions.unsupervised import made_by, upright

Function = Callable[[Tensor], Tensor]


@dataclass(kw_only=True, eq=False, repr=False)
class JacobianSVD(Finder):
    """Top right singular vectors of a denoiser's or decoder's Jacobian at some codes (Park et al. 2023; LOCO, 2024).

    Found by a block Krylov space (Musco & Musco 2015) of products with J (forward mode) and its transpose (backward
    mode); with several codes their Jacobians are stacked, and the directions are those that matter over all of them.

    Args:
        function: differentiable, of codes `(sample, dim)`, each row on its own, to anything with first axis sample.
        count: directions.
        block: products that are computed together; narrow blocks reach further for the same number of products, wide
            ones keep a large device busy.
        blocks: of the Krylov space; `block * (2 * blocks - 1)` products for each code.
        mask: which of the function's outputs count, of the shape of one output; None is all.
        null: take out of the directions what also moves the rest of the outputs: so many top directions of the
            complement of `mask` (Chen et al. 2024); 0 is none.
        points: at most so many of the codes, evenly chosen.
        random_state: of the start.

    Attributes:
        gain_: singular value of each direction: the change of output for a unit of change in the code, root mean square
            over the codes; where `null` changed a direction, that before.
        products_: products with J or its transpose.

    >>> layer = torch.diag(torch.tensor([1.0, 3.0, 2.0]))
    >>> found = JacobianSVD(function=lambda z: z @ layer, count=2).fit(torch.ones(4, 3))
    >>> abs(found["jacobian0"].vector).round(3), found.gain_.round(3)
    (array([0., 1., 0.]), array([3., 2.]))
    """

    function: Function | None = None
    count: int = 5
    block: int = 2
    blocks: int = 24
    mask: Any = None
    null: Natural = 0
    points: Count = 1
    random_state: Seed = 0

    @clear_errors
    def fit(self, codes: Any, y: Any = None) -> Self:
        """Learns the directions at codes `(sample, dim)`, which also give the scale; y is ignored."""
        del y
        if self.null and self.mask is None:
            raise ValueError("null directions are those of what the mask leaves out; give a mask")
        device = codes.device if isinstance(codes, Tensor) else torch.device("cpu")
        codes = self._codes(codes)
        chosen = np.unique(np.linspace(0, len(codes) - 1, min(self.points, len(codes))).round().astype(int))
        at = torch.as_tensor(codes[chosen], dtype=torch.float32, device=device)
        function = self.function or (lambda z: z)
        mask = None if self.mask is None else _mask(self.mask, function(at), device)
        gain, vectors, self.products_ = top_directions(
            masked(function, mask), at, self.count, block=self.block, blocks=self.blocks, seed=self.random_state
        )
        if self.null and mask is not None:
            rest = masked(function, 1 - mask)
            _, held, more = top_directions(
                rest, at, self.null, block=self.block, blocks=self.blocks, seed=self.random_state
            )
            vectors = vectors - (vectors @ held.T) @ held
            self.products_ += more
        self.gain_ = gain.numpy()
        names = [f"jacobian{i}" for i in range(len(gain))]
        rows = upright(vectors.numpy())
        return self._keep(DirectionSet.measured(names, rows, codes, provenance=made_by(self, codes)))


def _mask(mask: Any, output: Tensor, device: torch.device) -> Tensor:
    """The mask of the function's output, which it must fit."""
    weights = torch.as_tensor(as_numbers("mask", mask), dtype=torch.float32, device=device)
    try:
        torch.broadcast_shapes(weights.shape, output.shape)
    except RuntimeError:
        shapes = f"{tuple(weights.shape)} and {tuple(output.shape)}"
        raise ValueError(f"mask and output of the function do not fit together: {shapes}") from None
    return weights


def top_directions(
    function: Function, at: Tensor, count: int, *, block: int = 2, blocks: int = 24, seed: int = 0
) -> tuple[Tensor, Tensor, int]:
    """Top singular values and right singular vectors of the Jacobians at all rows of `at`, stacked.

    Args:
        function: of codes `(sample, dim)`, each row on its own.
        at: `(point, dim)`.
        count: directions, at most dim.
        block, blocks: of the Krylov space, width and number; more are taken where they hold fewer than `count`.
        seed: of the start.

    Returns:
        Root mean square gain `(direction,)` and unit vectors `(direction, dim)` on the CPU in float64, and the number
        of products with a Jacobian or its transpose.
    """
    if min(count, block, blocks) < 1:
        raise ValueError(f"count, block and blocks must be at least 1, got {count}, {block} and {blocks}")
    dim = at.shape[1]
    count, width = min(count, dim), min(block, dim)
    blocks = max(blocks, -(-count // width) + 1)
    start = torch.randn(dim, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    newest = torch.linalg.qr(start)[0]
    basis, images, products = torch.zeros(dim, 0, dtype=torch.float64), [], 0
    for i in range(blocks):
        image = [pushed(function, x, newest) for x in at]  # W = J V, each (output, direction)
        images.append(torch.cat(image))
        basis = torch.cat([basis, newest], 1)
        products += len(at) * newest.shape[1]
        room = min(width, dim - basis.shape[1])
        if i + 1 == blocks or room < 1:
            break
        pulled_back = torch.stack([pullback(function, x, w) for x, w in zip(at, image, strict=True)]).sum(0)  # J^T W
        products += len(at) * newest.shape[1]
        if not pulled_back.isfinite().all():
            break
        newest = _orthogonal_to(basis, pulled_back)[:, :room]
        if not newest.shape[1]:
            break  # the space is invariant: all of the answer is in it
    stacked = torch.cat(images, 1)
    if not stacked.isfinite().all():
        raise ValueError("the function's derivative at these codes is NaN or infinite")
    if not stacked.any():
        raise ValueError("the function's output does not change with the codes; there is nothing to find")
    # Rayleigh-Ritz: the best singular vectors within the space.
    _, values, turn = torch.linalg.svd(stacked, full_matrices=False)
    return values[:count] / len(at) ** 0.5, (basis @ turn[:count].T).T, products


def pushed(function: Function, x: Tensor, directions: Tensor) -> Tensor:
    """J V: how the output at one code changes along each of several directions `(dim, direction)`, forward mode."""
    tangents = directions.T.to(x)
    with _plain_attention():
        change = torch.func.jvp(function, (x.repeat(len(tangents), 1),), (tangents,))[1]
    return change.detach().flatten(1).double().cpu().T


def pullback(function: Function, x: Tensor, weights: Tensor) -> Tensor:
    """J^T W: what each of several weightings of the output `(output, direction)` asks of the code, backward mode."""
    codes = x.expand(weights.shape[1], -1).detach().clone().requires_grad_()
    with _plain_attention(), torch.enable_grad():
        out = function(codes)
        if not out.requires_grad:
            raise ValueError(
                "the function keeps no gradient, as those of spaces and generators do not; give one of the networks' "
                "own, such as lambda z: generator.autoencoder.decode(z.view(-1, *generator.latent_shape))"
            )
        (gradient,) = torch.autograd.grad(out, codes, weights.T.reshape(out.shape).to(out))
    return gradient.double().cpu().T


def masked(function: Function, mask: Tensor | None) -> Function:
    """The function with outputs outside a mask set to zero."""
    return function if mask is None else lambda z: function(z) * mask


def _orthogonal_to(basis: Tensor, block: Tensor) -> Tensor:
    """Orthonormal columns spanning what of `block` is not in `basis`; columns that are rounding error are left out."""
    size = block.norm(dim=0).max()
    for _ in range(2):  # twice is enough (Giraud et al. 2005)
        block = block - basis @ (basis.T @ block)
    u, s, _ = torch.linalg.svd(block, full_matrices=False)
    u = u[:, s > 1e-6 * size]
    u = u - basis @ (basis.T @ u)
    return torch.linalg.qr(u)[0] if u.shape[1] else u


def _plain_attention() -> AbstractContextManager[Any]:
    """Fused attention has no forward mode."""
    return sdpa_kernel(SDPBackend.MATH)
