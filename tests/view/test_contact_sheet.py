"""The contact sheet, and the server behind it."""

import json
import urllib.error
import urllib.request

import pytest
import torch

from latentlab.view.contact_sheet import Card, Served, contact_sheet

CARDS = [
    Card("000", torch.zeros(1, 3, 4, 16, 16), "a <red> star", "guidance 2", before=True),
    Card("001", torch.zeros(1, 3, 4, 16, 16), "a blue star", found=["green"]),
]


def test_a_page_is_whole_and_asks_for_nothing():
    page = contact_sheet(CARDS, title="Batch 1", notes=["size: large 90%"], next="latentlab batch b.toml")
    assert page.count("<article") == 2
    assert "a &lt;red&gt; star" in page
    assert "shows green, which is forbidden" in page
    assert "connect-src" not in page
    assert 'data-before="1"' in page
    assert "connect-src 'self'" in contact_sheet(CARDS, title="Batch 1", post=True)


@pytest.fixture
def served():
    said = {}

    def rate(given):
        if "999" in given:
            raise ValueError("no clip '999'")
        said.update(given)

    with Served(lambda: contact_sheet(CARDS, title="Batch 1", post=True), rate, lambda: {"batch": 0}) as server:
        yield server.address, said


def answer(address, body=None, **headers):
    request = urllib.request.Request(address, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as found:
            return found.status, found.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_ratings_come_by_json_from_this_machine_alone(served):
    address, said = served
    json_kind = {"Content-Type": "application/json"}
    assert answer(address)[0] == 200
    assert json.loads(answer(f"{address}state")[1]) == {"batch": 0}
    assert answer(f"{address}ratings", b'{"000": 1, "001": 0}', **json_kind)[0] == 200
    assert said == {"000": True, "001": False}
    for body in (b'{"000": 2}', b"[1]", b"{", b'{"000": true}', b'{"999": 1}'):
        assert answer(f"{address}ratings", body, **json_kind)[0] == 400
    assert answer(f"{address}ratings", b'{"000": 0}', **{"Content-Type": "text/plain"})[0] == 400  # as forms send it
    assert answer(address, Host="evil.example")[0] == 403
    assert answer(f"{address}manifest.json")[0] == 404
    assert said == {"000": True, "001": False}
