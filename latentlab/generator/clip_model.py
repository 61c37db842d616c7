"""The CLIP model of the shipped world: open_clip's layout, a small vocabulary, contact sheets of clips.

Four frames of a clip, tiled two by two, are one picture to the vision tower, so motion is visible to it. The text
tower's tokens condition the denoiser; both towers together compare clips with captions.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from latentlab.generator.networks.clip import ClipTowers
from latentlab.networks import ClipConfig
from latentlab.shapes import Video

START, END, PAD = "<start>", "<end>", "<pad>"
SILENT = ("the", "an", "is")  # words that add nothing, where a vocabulary has none of them
ARTICLE, ARTICLES = "a", ("the", "an")  # every caption of training begins with one: without it a clip comes apart
PUNCTUATION = ".;:!?'\"\u2019"  # passes unread beside commas


class Tokenizer:
    """Words to numbers: lower-cased words and commas, between a start and an end token.

    Where the vocabulary has no "the" and "an", they are read as "a", and "is" passes unread.

    >>> Tokenizer(("a", "red", "star"), context_length=6)(["The red star."]).tolist()
    [[3, 0, 1, 2, 5, 4]]
    """

    def __init__(self, vocabulary: Sequence[str], context_length: int) -> None:
        self.vocabulary, self.context_length = tuple(vocabulary), context_length
        # The tower pools at the largest number, so the end token comes last.
        self.number = {word: i for i, word in enumerate([*self.vocabulary, START, PAD, END])}

    def __call__(self, captions: Sequence[str]) -> Int[Tensor, "batch token"]:
        """Numbers of the captions, padded.

        Raises:
            ValueError: a word is not in the vocabulary, or a caption is too long.
        """
        if not captions:
            raise ValueError('captions are one text or several, "" for none; got an empty list')
        rows = [[START, *self.words(caption), END] for caption in captions]
        for caption, row in zip(captions, rows, strict=True):
            if len(row) > self.context_length:
                raise ValueError(
                    f"caption of {len(row) - 2} words is longer than {self.context_length - 2}: {caption!r}"
                )
        padded = [row + [PAD] * (self.context_length - len(row)) for row in rows]
        return torch.tensor([[self.number[word] for word in row] for row in padded])

    @staticmethod
    def split(caption: str) -> list[str]:
        """Words and commas of a caption, lower case, known or not."""
        return re.findall(r"[\w-]+|,", caption.lower())

    def words(self, caption: str) -> list[str]:
        """The words of a caption, checked against the vocabulary."""
        said = [self._read(word) for word in self.split(caption)]
        found = [word for word in said if word in self.vocabulary or word not in SILENT]
        if unknown := sorted({word for word in found if word not in self.vocabulary}):
            raise ValueError(f"this model does not know {', '.join(map(repr, unknown))}; it knows: {self._known}")
        return found

    def check(self, caption: str) -> None:
        """Raises if a caption holds symbols that would pass unread, but for the punctuation of a sentence.

        Captions of training are read without it, as their writers wrote them.
        """
        symbols = sorted({symbol for symbol in re.sub(r"[\w\s,-]", "", caption) if symbol not in PUNCTUATION})
        if symbols:
            unread = ", ".join(map(repr, symbols))
            raise ValueError(f"this model does not know {unread} in {caption!r}; it knows: {self._known}")
        if caption.strip() and not self.split(caption):
            raise ValueError(f'caption {caption!r} holds no word; "" is the caption that says nothing')

    @property
    def _known(self) -> str:
        return " ".join(word for word in self.vocabulary if word[0].isalnum())

    def _read(self, word: str) -> str:
        return ARTICLE if word in ARTICLES and word not in self.vocabulary and ARTICLE in self.vocabulary else word


class ClipModel(nn.Module):
    """Contrastive language-video model (Radford et al. 2021), towers in open_clip's layout."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.tokenize = Tokenizer(config.vocabulary, config.context_length)
        self.towers = ClipTowers(config, len(self.tokenize.number))

    def knowing(self, words: Mapping[str, Float[Tensor, " width"]]) -> ClipModel:
        """The model with new words, each by its embedding; all other weights are shared.

        Raises:
            ValueError: a word that is known already, is no single word, or an embedding of another width.
        """
        for word, row in words.items():
            if self.tokenize.split(word) != [word] or word in self.config.vocabulary:
                raise ValueError(f"a new word is one in lower case that the model does not know yet, got {word!r}")
            if row.shape != (self.config.width,):
                raise ValueError(f"the embedding of {word!r} has shape {tuple(row.shape)}, not ({self.config.width},)")
        known = self.towers.token_embedding.weight
        count = len(self.config.vocabulary)
        new = torch.stack([row.to(known) for row in words.values()])
        found = copy.copy(self)
        found._modules, found.towers = {}, copy.copy(self.towers)
        found.towers._modules = dict(self.towers._modules)
        # new words come before the marks, whose numbers are the largest
        found.towers.token_embedding = nn.Embedding.from_pretrained(torch.cat([known[:count], new, known[count:]]))
        found.config = replace(self.config, vocabulary=(*self.config.vocabulary, *words))
        found.tokenize = Tokenizer(found.config.vocabulary, self.config.context_length)
        return found

    def tokens(self, captions: Sequence[str]) -> tuple[Float[Tensor, "batch token width"], Bool[Tensor, "batch token"]]:
        """The text tower's last layer for each caption, and which tokens are not padding."""
        return self.token_states(self.tokenize(captions).to(self.device))

    def token_states(
        self, numbers: Int[Tensor, "batch token"]
    ) -> tuple[Float[Tensor, "batch token width"], Bool[Tensor, "batch token"]]:
        """The same for captions that are tokenised already."""
        return self.towers.token_states(numbers), numbers != self.tokenize.number[PAD]

    def encode_text(self, captions: Sequence[str]) -> Float[Tensor, "batch embedding"]:
        """Unit vectors of captions in the joint space."""
        return self.towers.encode_text(self.tokenize(captions).to(self.device))

    def encode_video(self, video: Video) -> Float[Tensor, "batch embedding"]:
        """Unit vectors of clips in the joint space."""
        return self.towers.encode_image(four_frames(video, self.config.frame_size))

    def score(self, video: Video, captions: Sequence[str]) -> Float[Tensor, " batch"]:
        """Cosine of each clip with its caption."""
        return (self.encode_video(video) * self.encode_text(captions)).sum(1)

    def forward(self, sheet: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Training pass: unit vectors of sheets and of captions, and the inverse temperature."""
        image = self.towers.encode_image(sheet)
        return image, self.towers.encode_text(numbers), self.towers.logit_scale.exp()

    @property
    def device(self) -> torch.device:
        return self.towers.positional_embedding.device

    def header(self) -> dict[str, Any]:
        """Config as plain values, for the weights file."""
        return asdict(self.config)


def four_frames(video: Video, frame_size: int = 64) -> Float[Tensor, "batch 3 side side"]:
    """Four frames, evenly spaced from first to last, tiled two by two in reading order."""
    frames = video.shape[2]
    picks = [round(i * (frames - 1) / 3) for i in range(4)]
    chosen = rearrange(video[:, :, picks], "b c f h w -> (b f) c h w")
    if chosen.shape[-2:] != (frame_size, frame_size):
        chosen = F.interpolate(chosen, (frame_size, frame_size), mode="bilinear", antialias=True)
    return rearrange(chosen, "(b r k) c h w -> b c (r h) (k w)", r=2, k=2)
