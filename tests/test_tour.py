"""The tour, whole, with fewer steps than a person would take."""

import json

import pytest

from latentlab.data import moving_shapes
from latentlab.study.edit_space import LABELLED
from latentlab.tour import tour
from latentlab.tour.walk import STRENGTHS
from latentlab.video import write

pytestmark = pytest.mark.slow  # one whole tour


@pytest.fixture(scope="module")
def toured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tour")
    write(folder / "mine.webm", moving_shapes(1, seed=5)[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LABELLED, "latent", 256)  # light is found with few
        return folder, tour(folder / "out", video=folder / "mine.webm", seed=1, num_steps=4)


def test_the_report_is_one_offline_page_with_all_chapters(toured):
    page = (toured[0] / "out" / "report.html").read_text()
    for chapter in ("Clips from captions", "and back", "Between two clips", "A direction"):
        assert chapter in page
    assert page.count("<video") >= 5 + 4 + 10 + 5
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_the_record_holds_every_number_and_what_made_it(toured):
    record = json.loads((toured[0] / "out" / "record.json").read_text())
    assert record["seed"] == 1
    assert record["settings"]["video"].endswith("mine.webm")
    assert set(record["numbers"]["roundtrip"]) == {"ddim", "midpoint"}
    assert set(record["numbers"]["roundtrip"]["ddim"]) >= {"autoencoder_psnr", "inversion_psnr", "total_psnr"}
    assert set(record["numbers"]["interpolation"]) == {"lerp", "slerp"}
    assert record["frames"].keys() == record["numbers"]["flicker"].keys()
    assert {"python", "torch", "numpy"} <= set(record["versions"])


def test_the_direction_moves_the_light(toured):
    light = toured[1].numbers["direction"]["mean_level"]
    assert light == sorted(light)
    assert light[-1] > 1.2 * light[0]


def test_each_strength_says_whether_the_contract_is_kept(toured):
    folder, record = toured
    kept, page = record.numbers["direction"]["kept"], (folder / "out" / "report.html").read_text()
    assert set(kept) == {f"{s:+g}" for s in STRENGTHS if s}
    assert kept[f"{STRENGTHS[-1]:+g}"] == record.numbers["direction"]["account"]["kept"]
    assert f"Of {len(kept)} strengths {sum(kept.values())} keep the contract" in page


def test_lerp_shrinks_the_noise_and_slerp_does_not(toured):
    paths = toured[1].numbers["interpolation"]
    ends = (paths["lerp"]["noise_norm"][0] + paths["lerp"]["noise_norm"][-1]) / 2
    assert paths["lerp"]["noise_norm"][2] < 0.95 * ends
    assert paths["slerp"]["noise_norm"][2] == pytest.approx(ends, rel=1e-3)
