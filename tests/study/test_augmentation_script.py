"""The script of the augmentation study keeps what a seed found, by all settings that decide it."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from latentlab.bench.script import SCRIPTS, load_script
from latentlab.study.augmentation import ARMS, ArmScore, Privacy

pytestmark = pytest.mark.skipif(not SCRIPTS.is_dir(), reason="an installed package has no benchmarks beside it")
HOW_MANY = {"labelled", "seeds", "processes", "out"}  # settings that do not decide what one seed finds


@pytest.fixture
def script():
    return load_script(SCRIPTS / "augmentation.py")


@pytest.fixture
def asked(script, monkeypatch):
    """The seeds that were studied, each at once and for nothing."""
    studied = []

    def study(config, folder, count, seed):
        studied.append((count, seed))
        return [ArmScore(arm, {"fluid": 0.25 * seed}, 0.5) for arm in ARMS], Privacy(0.3, 0.2, 0.0)

    monkeypatch.setattr(script, "study", study)
    return studied


def test_every_setting_decides_or_says_how_many(script):
    names = {field.name for field in fields(script.Config)}
    assert names == {*script.OF_SEED, *HOW_MANY}
    assert set(script.OF_BASE) < set(script.OF_SEED)


def test_a_seed_is_studied_once(script, asked, tmp_path):
    config = script.Config(out=str(tmp_path))
    first = script.one(config, 32, 1)
    assert script.one(replace(config, seeds=9, processes=1), 32, 1) == first
    assert asked == [(32, 1)]
    assert [score.arm for score in first[0]] == [*ARMS]


@pytest.mark.parametrize("other", [{"base_steps": 7}, {"reader_steps": 7}, {"data": "template"}])
def test_other_settings_are_another_study(script, asked, tmp_path, other):
    config = script.Config(out=str(tmp_path))
    script.one(config, 32, 1)
    script.one(replace(config, **other), 32, 1)
    script.one(config, 8, 1)
    script.one(config, 32, 2)
    assert asked == [(32, 1), (32, 1), (8, 1), (32, 2)]
    assert len(list(Path(tmp_path).glob("*.json"))) == 4
