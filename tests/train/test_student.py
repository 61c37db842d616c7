"""Students, on tiny networks: they draw in their own steps, are told their guidance, and learn their teacher's way."""

import pytest
import tiny
import torch

import latentlab as ll
from latentlab.cli import main
from latentlab.generator.networks.student import StudentConfig, StudentDenoiser
from latentlab.generator.student import StudentGenerator
from latentlab.train.loop import LoopConfig
from latentlab.train.student import StudentTraining, train_student


class Data:
    """Captions alone."""

    size, num_frames = (16, 16), 4

    def __len__(self):
        return 1000

    def caption(self, i, *, seed=0):
        return ("a red star", "a blue star", "a star moving left")[i % 3]


@pytest.fixture(scope="module")
def teacher():
    return tiny.generator()


def taught(generator, folder, *, loops=8, **options):
    loop = LoopConfig(
        loops, options.pop("batch", 4), 2e-3, 4, decay=1e-9, weight_decay=0.0, ema=0.8, workers=0, save_every=4
    )
    config = StudentTraining(loop, **{"steps": 2, "teacher_steps": 8, "paths": 16, **options})
    return train_student(generator, Data(), folder, config)


@pytest.fixture(scope="module")
def run(teacher, tmp_path_factory):
    folder = tmp_path_factory.mktemp("student")
    return taught(teacher, folder, loops=60, batch=32, paths=256, guidances=(2.0, 4.0)), folder


def test_it_comes_nearer_to_where_its_teacher_ends(teacher, run):
    """Against the teacher itself, taking as few steps."""
    student, _ = run
    noise = teacher.noise(32, seed=7)
    options = {"caption": "a red star", "guidance": 3.0, "method": "ddim"}
    goal = teacher.sample(noise, num_steps=8, **options)
    few, own = teacher.sample(noise, num_steps=2, **options), student.sample(noise, "a red star", guidance=3.0)
    assert (own - goal).square().mean() < 0.9 * (few - goal).square().mean()


def test_its_levels_are_its_teachers_and_it_takes_no_others(teacher, run):
    student, _ = run
    assert student.steps == 2
    shape = teacher.latent_shape
    torch.testing.assert_close(student.levels(2, shape), teacher.levels(8, shape)[::4], atol=1e-12, rtol=0)
    drawn = student.generate("a red star")
    assert torch.equal(drawn, student.generate("a red star", num_steps=2))
    assert torch.equal(
        drawn, student.decode(student.sample(student.noise(1), "a red star", guidance=teacher.config.guidance))
    )
    assert not torch.equal(drawn, student.generate("a red star", guidance=3.5))  # it hears its guidance
    for wrong, said in (
        ({"num_steps": 25}, "in 2 steps"),
        ({"method": "midpoint"}, "ddim"),
        ({"churn": 0.5}, "churn"),
        ({"guidance": 9.0}, "from 2 to 4"),
    ):
        with pytest.raises(ValueError, match=said):
            student.generate("a red star", **wrong)
    with pytest.raises(ValueError, match="no other"):
        student.generate(student.condition("a red star", negative="a blue star"))
    with pytest.raises(ValueError, match="taught it"):
        student.invert(student.noise(1))


def test_it_is_saved_and_loaded_as_what_it_is(run, tmp_path):
    student, folder = run
    student.save(tmp_path / "generator")
    read = ll.load(tmp_path / "generator", device="cpu")
    assert isinstance(read, StudentGenerator)
    assert read.denoiser.config == student.denoiser.config
    assert torch.equal(read.generate("a red star"), student.generate("a red star"))
    assert (folder / "denoiser.safetensors").is_file()


def test_a_run_goes_on_to_the_bit(teacher, tmp_path):
    straight = taught(teacher, tmp_path / "a", paths=4)
    taught(teacher, tmp_path / "b", paths=4, loops=4)
    halting = taught(teacher, tmp_path / "b", paths=4)
    for name, value in straight.denoiser.state_dict().items():
        assert torch.equal(value, halting.denoiser.state_dict()[name])
    with pytest.raises(ValueError, match="guidances was"):
        taught(teacher, tmp_path / "b", paths=4, guidances=(1.0, 3.0))


def test_a_student_teaches_one_of_fewer_steps(run, tmp_path):
    student, _ = run
    one = taught(student, tmp_path, loops=2, steps=1, paths=4)
    assert one.denoiser.config.levels == (1.0, 0.0)
    assert one.denoiser.config.guidances == (2.0, 4.0)  # those that its teacher knows
    assert one.generate("a red star", guidance=3.0).isfinite().all()


def test_before_training_it_answers_as_its_teacher(teacher):
    config = teacher.denoiser.config
    network = StudentDenoiser(StudentConfig(**vars(config)))
    network.load_state_dict({**network.state_dict(), **teacher.denoiser.state_dict()})
    y, s = teacher.noise(2), torch.tensor([0.3, 0.9])
    tokens, mask = teacher.clip_model.tokens(["a star", ""])
    assert torch.equal(network(y, s, tokens, mask, torch.tensor([1.0, 4.0])), teacher.denoiser(y, s, tokens, mask))


def test_what_cannot_be_taught_is_said(teacher, tmp_path):
    for wrong, said in (({"steps": 3}, "divide"), ({"steps": 8}, "fewer"), ({"guidances": (4.0, 2.0)}, "largest")):
        with pytest.raises(ValueError, match=said):
            taught(teacher, tmp_path, loops=1, paths=2, **wrong)
    for levels in ((1.0,), (1.0, 0.5), (0.9, 0.0), (1.0, 0.5, 0.6, 0.0)):
        with pytest.raises(ValueError, match="fall from 1 to 0"):
            StudentConfig(levels=levels)


def test_one_command_trains_it_and_another_draws(tmp_path, capsys):
    tiny.generator().save(tmp_path / "model")
    model = ["--model", str(tmp_path / "model")]
    words = ["--steps", "2", "--clips", "2", "--batch-size", "2", "--out", str(tmp_path / "run")]
    assert main(["train", "student", *model, *words]) == 2  # moving shapes are of another size
    assert "the model makes clips of 4 frames" in capsys.readouterr().err
    own = tiny.generator()
    network = StudentDenoiser(StudentConfig(**vars(own.denoiser.config)))
    student = StudentGenerator(own.autoencoder, network, own.clip_model, own.config)
    student.save(tmp_path / "student")
    where = ["--model", str(tmp_path / "student"), "--out", str(tmp_path / "a.mkv")]
    assert main(["generate", "a red star", *where]) == 0
    assert main(["generate", "a red star", "--steps", "9", *where]) == 2
    assert "in 4 steps" in capsys.readouterr().err
