"""The page to paint on, without a browser: who is answered, and what bad input is told."""

import http.client
import json
import threading

import numpy as np
import pytest
import tiny
import torch

from latentlab.cli import main
from latentlab.record import frame_hash
from latentlab.video import read, write
from latentlab.view.painting import Server, Session

SHAPE = (4, 16, 16)
QUICK = "steps=2&refine=2&grow=1&feather=1"


def clip() -> torch.Tensor:
    levels = torch.randint(0, 256, (1, 3, *SHAPE), generator=torch.Generator().manual_seed(0))
    return levels / 127.5 - 1


def corner() -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[:, :4, :4] = 255
    return mask


@pytest.fixture(scope="module")
def server():
    with Server(Session(clip(), tiny.generator())) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def ask(server, path, body=None, *, method=None, token=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    token = server.token if token is None else token
    connection.request(method or ("GET" if body is None else "POST"), f"/{token}/{path}", body, headers)
    answer = connection.getresponse()
    found = answer.status, answer.read(), answer.headers
    connection.close()
    return found


def done(server, path, body):
    """What became of the work."""
    status, said, _ = ask(server, path, body)
    assert status == 200, said
    server.session.wait()
    return json.loads(ask(server, "job")[1])


def test_the_page_is_whole_and_asks_nobody_else(server):
    status, page, headers = ask(server, "")
    assert status == 200
    assert b"http" not in page.replace(b"http-equiv", b"")
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "request_",
    [
        {"token": "guessed"},
        {"token": ""},
        {"Host": "evil.example"},  # a name that was made to lead here
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["", "run"])
def test_strangers_are_refused(server, request_, path):
    before = server.session.job
    status, said, _ = ask(server, path, corner().tobytes() if path else None, **request_)
    assert status == 403
    assert server.token.encode() not in said
    assert server.session.job == before


def test_filling_leaves_the_outside_to_the_bit(server, tmp_path):
    job = done(server, f"run?caption=a+star&seed=3&{QUICK}", corner().tobytes())
    assert (job["state"], job["said"]) == ("done", "filled")
    assert any("outside: the source itself" in line for line in job["lines"])
    (tmp_path / "a.mkv").write_bytes(ask(server, "result.mkv")[1])
    found = read(tmp_path / "a.mkv").video
    torch.testing.assert_close(found[..., 6:], clip()[..., 6:], atol=1e-6, rtol=0)
    assert not torch.allclose(found[..., :4, :4], clip()[..., :4, :4], atol=1e-2)
    record = json.loads(ask(server, "record.json")[1])
    assert record["settings"] == {
        "clip": "clip", "caption": "a star", "seed": 3, "grow": 1, "feather": 1, "refine": 2, "num_steps": 2
    }  # fmt: skip
    assert ask(server, "frames/result/3.png")[1].startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("path", "mask", "says"),
    [
        (f"run?caption=a+star&{QUICK}", corner() * 0, "the mask is empty"),
        (f"run?caption=an+elephant&{QUICK}", corner(), "elephant"),
        (f"run?caption=a+star&start=nan&{QUICK}", corner(), "nan"),
        (f"run?caption=a+star&start=0&{QUICK}", corner(), "start"),
        ("propagate?painted=9", corner(), "9"),
    ],
)
def test_work_that_fails_is_told_and_the_page_goes_on(server, path, mask, says):
    job = done(server, path, mask.tobytes())
    assert job["state"] == "failed"
    assert says in job["said"]
    assert ask(server, "")[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("run?caption=a", bytes(7), "7 bytes"),
        ("run?caption=a&seed=x", corner().tobytes(), "'x'"),
        ("run?caption=a&steps=1.5", corner().tobytes(), "'1.5'"),
        ("frames/source/99.png", None, "99"),
        ("frames/source/-1.png", None, "-1"),
        ("../../etc/passwd", None, "passwd"),
        ("nothing", corner().tobytes(), "nothing"),
    ],
)
def test_bad_requests_are_answered(server, path, body, says):
    status, said, _ = ask(server, path, body)
    assert status in (400, 404)
    assert says in said.decode()
    assert ask(server, "")[0] == 200


def test_masks_are_carried(server):
    mask = corner()
    mask[1:] = 0
    job = done(server, "propagate?painted=0", mask.tobytes())
    assert job["said"] == "carried to 3 frames more"
    carried = np.frombuffer(ask(server, "mask.bin")[1], np.uint8).reshape(SHAPE)
    assert (carried[0] == mask[0]).all()
    assert carried[3].any()


def test_a_mask_is_saved_as_it_is(server, tmp_path):
    (tmp_path / "mask.mkv").write_bytes(ask(server, "mask.mkv", corner().tobytes())[1])
    found = (read(tmp_path / "mask.mkv").video[0, 0] + 1) * 127.5
    assert (found.round().byte().numpy() == corner()).all()


def test_work_is_cancelled_and_only_one_is_done_at_a_time():
    session = Session(clip(), tiny.generator())
    went, ends = threading.Event(), threading.Event()

    def work():
        went.set()
        ends.wait(60)
        session._passed(0.5)
        return "never", ()

    session._begin("run", "filling", work)
    went.wait(60)
    with pytest.raises(ValueError, match="filling is not done yet"):
        session.run(corner(), "a star", {})
    session.cancel()
    ends.set()
    assert session.wait().state == "cancelled"
    assert session.result is None
    session.run(corner(), "a star", {"steps": "1", "refine": "0"})
    assert session.wait().state == "done"


def test_without_a_model_masks_alone_are_painted():
    session = Session(clip())
    assert session.facts()["model"] == ""
    with pytest.raises(ValueError, match="no model"):
        session.run(corner(), "", {})


@pytest.mark.parametrize("more", [("--model", "tiny"), ("--masks",)])
def test_the_command_tells_the_address_and_ends(tmp_path, monkeypatch, capsys, more):
    monkeypatch.chdir(tmp_path)
    tiny.generator().save("tiny")
    write("clip.mkv", clip())
    asked = []

    def served(self):
        asked.append(self.session.facts())
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", served)
    assert main(["paint", "clip.mkv", "--no-open", "--json", *more]) == 0
    assert json.loads(capsys.readouterr().out)["address"].startswith("http://127.0.0.1:")
    assert bool(asked[0]["model"]) == ("--model" in more)


def test_a_filled_clip_is_written_where_asked(tmp_path):
    session = Session(clip(), tiny.generator(), out=tmp_path / "a.mp4")
    session.run(corner(), "a star", {"steps": "1", "refine": "0"})
    assert session.wait().state == "done"
    written = read(tmp_path / "a.mp4").video
    assert written.shape == (1, 3, *SHAPE)
    assert json.loads((tmp_path / "a.record.json").read_text())["frames"]["filled"] == frame_hash(written)
