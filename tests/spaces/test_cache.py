"""The cache: nothing is encoded twice, nothing stale is given, room is bounded."""

import pytest
import torch

from latentlab.spaces import BottleneckSpace, Cached, LatentSpace


@pytest.fixture
def counted(tiny_generator, monkeypatch):
    """A space that counts the clips it encodes."""
    space = LatentSpace(tiny_generator)
    space.seen = 0
    encode = space.encode

    def count(video):
        space.seen += len(video)
        return encode(video)

    monkeypatch.setattr(space, "encode", count)
    return space


def test_only_new_clips_are_encoded(counted, clips):
    cached = Cached(counted)
    first = cached.encode(clips[:2])
    again = cached.encode(clips[[1, 2, 0, 2]])
    assert counted.seen == 3
    assert (cached.hits, cached.misses) == (3, 3)
    torch.testing.assert_close(again[[2, 0]], first)
    assert torch.equal(again[1], again[3])
    torch.testing.assert_close(cached.decode(first), counted.decode(first))


def test_a_kept_code_cannot_be_changed_from_outside(counted, clips):
    cached = Cached(counted)
    first = cached.encode(clips)
    wanted = first.clone()
    first.zero_()
    second = cached.encode(clips)
    torch.testing.assert_close(second, wanted)
    second.zero_()
    torch.testing.assert_close(cached.encode(clips), wanted)


def test_other_weights_are_other_codes(counted, clips):
    cached = Cached(counted)
    old = cached.encode(clips)
    with torch.no_grad():
        for parameter in counted.generator.autoencoder.parameters():
            parameter.mul_(1.1)
    assert not torch.equal(cached.encode(clips), old)
    assert counted.seen == 6


def test_what_was_used_longest_ago_goes_first(counted, clips):
    cached = Cached(counted, megabytes=2 * 32 * 4 / 2**20)  # room for two codes
    cached.encode(clips[:1]), cached.encode(clips[1:2]), cached.encode(clips[:1])
    cached.encode(clips[2:])  # the second goes
    cached.encode(clips[:1])
    assert counted.seen == 3
    cached.encode(clips[1:2])
    assert counted.seen == 4


def test_a_folder_outlives_the_session_and_is_bounded(counted, clips, tmp_path):
    first = Cached(counted, folder=tmp_path).encode(clips)
    torch.testing.assert_close(Cached(counted, folder=tmp_path).encode(clips), first)
    assert counted.seen == 3
    size = next(tmp_path.iterdir()).stat().st_size
    Cached(counted, folder=tmp_path, megabytes=2.5 * size / 2**20).encode(-clips[:1])
    assert len(list(tmp_path.iterdir())) == 2
    assert not list(tmp_path.glob(".latentlab-*"))


def test_a_broken_file_is_as_if_it_were_not_there(counted, clips, tmp_path):
    wanted = Cached(counted, folder=tmp_path).encode(clips[:1])
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:40])
    torch.testing.assert_close(Cached(counted, folder=tmp_path).encode(clips[:1]), wanted)
    assert counted.seen == 2
    torch.testing.assert_close(Cached(counted, folder=tmp_path).encode(clips[:1]), wanted)
    assert counted.seen == 2


def test_spaces_that_must_see_their_clips_and_no_room_are_told(tiny_generator, counted):
    with pytest.raises(ValueError, match="codes of this BottleneckSpace belong to the clips"):
        Cached(BottleneckSpace(tiny_generator, num_steps=3))
    with pytest.raises(ValueError, match="megabytes must be positive, got 0"):
        Cached(counted, megabytes=0)


def test_no_clips_are_told_as_the_space_tells_them(tiny_generator, clips):
    with pytest.raises(ValueError, match="must be floating point"):
        Cached(LatentSpace(tiny_generator)).encode(clips[:0])


def test_a_flipped_bit_is_noticed(counted, clips, tmp_path):
    codes = Cached(counted, folder=tmp_path).encode(clips)
    for file in tmp_path.glob("*.safetensors"):
        content = bytearray(file.read_bytes())
        content[-3] ^= 1
        file.write_bytes(content)
    again = Cached(counted, folder=tmp_path)
    assert torch.equal(again.encode(clips), codes)
    assert again.misses == len(clips)
