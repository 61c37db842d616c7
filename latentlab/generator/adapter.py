"""An adapter: a small file that changes what a generator draws, and leaves the generator's own weights as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentlab.checks import clear_errors
from latentlab.generator import adapter_file
from latentlab.generator.update import LowRank, Update, Whole
from latentlab.generator.velocity_model import VelocityModel
from latentlab.store import digest
from latentlab.weights import fingerprint

DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (torch.float32, torch.bfloat16, torch.float16)}


@clear_errors
@dataclass(frozen=True, eq=False)
class Adapter:
    """Updates of a generator's layers, and words that it learned.

    Args:
        updates: by the place of the layer, as the file says it: "transformer.blocks.0.attn1.to_q" (diffusers),
            "middle.space.modulate" (peft), "lora_unet_mid_block_..." (kohya).
        words: embeddings `(width)` of new words of the text tower, by word.
        about: what the file says of itself: kind, rank, alpha, target, trigger, base, captions.
        name: under which records know it.

    Raises:
        ValueError: NaN or infinity, no update at all, or updates that are none.

    >>> import latentlab as ll
    >>> generator = ll.load()
    >>> update = LowRank(torch.zeros(1, 128), torch.ones(256, 1), alpha=1.0)
    >>> nothing = Adapter({"middle.space.modulate": update})
    >>> clip = generator.adapted({nothing: 1.0}).generate("a red star", num_steps=1)
    >>> bool((clip == generator.generate("a red star", num_steps=1)).all())
    True
    """

    updates: Mapping[str, Update]
    words: Mapping[str, Tensor] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    name: str = "adapter"

    def __post_init__(self) -> None:
        if not isinstance(self.updates, Mapping) or any(not isinstance(u, Update) for u in self.updates.values()):
            raise TypeError(f"updates of adapter {self.name!r} are LowRank or Whole by place, got {self.updates!r:.80}")
        if not isinstance(self.words, Mapping) or any(not isinstance(row, Tensor) for row in self.words.values()):
            raise TypeError(f"words of adapter {self.name!r} are embeddings by word, got {self.words!r:.80}")
        if not isinstance(self.about, Mapping) or not isinstance(self.name, str):
            raise TypeError(f"about is a mapping and name is text, got {self.about!r:.80} and {self.name!r:.80}")
        if not self.updates and not self.words:
            raise ValueError(f"adapter {self.name!r} holds no update of any layer and no word")
        for place, tensor in self._tensors():
            if not tensor.isfinite().all():
                raise ValueError(f"adapter {self.name!r} holds NaN or infinity in {place}; its training broke")

    def __repr__(self) -> str:
        ranks = sorted({u.rank for u in self.updates.values() if isinstance(u, LowRank)})
        of = f" of rank {', '.join(map(str, ranks))}" if ranks else ""
        words = f", words {', '.join(map(repr, self.words))}" if self.words else ""
        return f"Adapter({self.name!r}, {len(self.updates)} layers{of}{words})"

    @staticmethod
    @clear_errors
    def read(path: str | Path) -> Adapter:
        """The adapter of a file of latentlab, peft (or its folder), diffusers or one of kohya's trainers.

        Raises:
            FileNotFoundError: no such file.
            ValueError: a file that holds no adapter, or one of a kind that is not read (DoRA, LoHa, LoKr, vectors).
        """
        updates, words, about = adapter_file.read_adapter(Path(path))
        return Adapter(updates, words, about, name=Path(path).name.removesuffix(".safetensors"))

    @clear_errors
    def save(self, path: str | Path) -> None:
        """Writes a safetensors file in the layout of peft and diffusers, which `load_lora_weights` reads.

        A path without a suffix becomes a folder that `peft.PeftModel.from_pretrained` reads.
        """
        adapter_file.write_adapter(Path(path), self.updates, self.words, self.about)

    @clear_errors
    def scaled(self, factor: float) -> Adapter:
        """The adapter whose strength 1 is this one's `factor`, as for strengths in standard deviations."""
        return replace(self, updates={place: _scaled(update, factor) for place, update in self.updates.items()})

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that it changes."""

        def parts() -> Iterator[Any]:
            for place, tensor in self._tensors():
                yield f"{place} {tuple(tensor.shape)}"
                yield tensor.detach().float().cpu().contiguous().numpy()
            for place, update in sorted(self.updates.items()):
                yield f"{place} {update.alpha}" if isinstance(update, LowRank) else place

        return digest(parts())

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        for place, update in sorted(self.updates.items()):
            yield from ((f"{place}.{name}", tensor) for name, tensor in update.tensors().items())
        yield from ((f"word {word!r}", row) for word, row in sorted(self.words.items()))


def placed(adapter: Adapter, generator: VelocityModel) -> dict[str, Update]:
    """Updates by role and name of the layer, "denoiser.middle.space.modulate", held against the networks.

    Raises:
        ValueError: layers that are not there or are of another shape; or an adapter of another base.
    """
    networks = generator.adaptable
    found, strange = {}, []
    known, updates = _places(networks), adapter.updates
    if updates.keys() - known.keys():  # by other names than those of the layers
        tensors = {f"{place}.{name}": t for place, u in updates.items() for name, t in u.tensors().items()}
        tensors |= {f"{p}.alpha": torch.tensor(u.alpha) for p, u in updates.items() if isinstance(u, LowRank)}
        if (renamed := generator.renamed(tensors)) is not None:
            updates = adapter_file.updates(adapter.name, renamed)
    for place, update in updates.items():
        own = known.get(place)
        layer = None if own is None else networks[own[0]].get_submodule(own[1])
        reason = "no such layer" if layer is None else update.misfit(layer)
        if reason is not None:
            strange.append(f"{place}: {reason}")
        elif own is not None:
            found[".".join(own)] = update
    if strange:
        raise ValueError(
            f"adapter {adapter.name!r} is of another model: {len(strange)} of its {len(updates)} layers do not "
            f"fit, such as {'; '.join(strange[:3])}"
        )
    for role, base in adapter.about.get("base", {}).items():
        if role in networks and not is_base(base, networks[role]):
            raise ValueError(
                f"adapter {adapter.name!r} was made for another base: the weights of the {role} here are not those "
                "that it was trained on; load that model, or train the adapter again on this one"
            )
    return found


def _scaled(update: Update, factor: float) -> Update:
    if isinstance(update, LowRank):
        bias = None if update.bias is None else update.bias * factor
        return replace(update, alpha=update.alpha * factor, bias=bias)
    return Whole(*(None if t is None else t * factor for t in (update.weight, update.bias)))


def _places(networks: Mapping[str, nn.Module]) -> dict[str, tuple[str, str]]:
    """Role and name of every layer, by all that files call it; a name without a role is of the last network."""
    known = {}
    marks = {"text_encoder": "lora_te", "text_encoder_2": "lora_te2"}
    *others, main = networks
    for role in [*others, main]:
        for name, layer in networks[role].named_modules():
            if not name or not isinstance(getattr(layer, "weight", None), Tensor):
                continue
            flat = name.replace(".", "_")
            names = [f"{role}.{name}", f"{marks.get(role, f'lora_{role}')}_{flat}"]
            if role == "text_encoder":
                names.append(f"lora_te1_{flat}")
            if role == main:
                names += [name, f"diffusion_model.{name}", f"lora_unet_{flat}", f"lora_transformer_{flat}"]
            known.update(dict.fromkeys(names, (role, name)))
    return known


def base_of(network: nn.Module) -> dict[str, str]:
    """Fingerprints of a network by dtype: its own, and those that it would round to where it is loaded so."""
    own = next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)
    kinds = DTYPES if own == torch.float32 else {str(own).removeprefix("torch."): own}
    return {name: fingerprint(_Rounded(network, dtype)) for name, dtype in kinds.items()}


def is_base(base: Mapping[str, str], network: nn.Module) -> bool:
    """Whether `base_of` said this of the network, whichever dtype it has now; both must have one in common."""
    own = base_of(network)
    return any(own[name] == base[name] for name in own.keys() & base.keys())


@dataclass(frozen=True)
class _Rounded:
    """A network's tensors in a dtype, for a fingerprint."""

    network: nn.Module
    dtype: torch.dtype

    def state_dict(self) -> dict[str, Any]:
        state = self.network.state_dict()
        return {k: v.to(self.dtype) if isinstance(v, Tensor) and v.is_floating_point() else v for k, v in state.items()}
