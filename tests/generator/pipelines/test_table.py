"""The table of pipeline classes: a few of it measured anew, and all that diffusers has accounted for."""

from pathlib import Path

import pytest

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from latentlab.bench.script import load_script

FILE = Path(__file__).parents[3] / "benchmarks" / "pipelines.py"
if not FILE.is_file():
    pytest.skip("an installed package has no benchmarks beside it", allow_module_level=True)
script = load_script(FILE)

# Timesteps that are not shifted with their levels, a first frame that is held, sigmas up to 80, learned variances, an
# autoencoder that has frames before channels, a call that would take the nearest size of its training.
FEW = [
    "CogView4Pipeline",
    "LTXImageToVideoPipeline",
    "Cosmos2TextToImagePipeline",
    "SanaVideoPipeline",
    "AllegroPipeline",
    "SanaPipeline",
]


@pytest.mark.parametrize("name", FEW)
def test_a_driven_pipeline_is_its_own_call(name):
    row = script.checked(name)
    assert row.status == "checked", row
    assert row.leapfrog == 0
    assert max(*row.latents.values(), *row.frames.values()) <= 2e-5


def test_the_table_says_of_every_class_what_became_of_it():
    rows = script.table(script.read_rows())
    print(script.summary(rows))
    assert [row.name for row in rows] == script.listed()
    assert all(row.status.startswith(("checked", "DIFFERS", "refused: ", "failed: ", "not tried")) for row in rows)
    done = [row for row in rows if row.status == "checked"]
    assert len(done) >= 45
    assert sum(row.video for row in done) >= 20
    for row in done:
        assert max(*row.latents.values(), *row.frames.values(), row.family or 0.0) <= script.EQUAL, row
        assert row.leapfrog == 0, row
