"""`presets` lists all of them, and prints one that comes back as the very same preset."""

import json

import pytest
from click.testing import CliRunner

from instructme.model.config import Preset, from_dict, override
from instructme.model.presets import PRESETS
from instructme.pipelines.cli import main


def test_all_are_listed():
    result = CliRunner().invoke(main, ["presets"])
    assert result.exit_code == 0
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == list(PRESETS)
    assert "latent of 4 x 250 Hz" in result.stdout


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_one_is_printed_as_json(name: str):
    result = CliRunner().invoke(main, ["presets", name])
    assert result.exit_code == 0
    values = json.loads(result.stdout)
    parameters = values.pop("parameters")
    assert from_dict(Preset, values) == PRESETS[name]
    assert parameters["unet"]["unet"] > 100_000 and parameters["vae"]["decoder"] > 10_000


def test_the_paper_has_the_papers_size():
    parameters = json.loads(CliRunner().invoke(main, ["presets", "paper"]).stdout)["parameters"]
    assert parameters["unet"]["unet"] == pytest.approx(898.9e6, rel=0.02)
    assert sum(parameters["vae"].values()) == pytest.approx(69.8e6, rel=0.02)


def test_settings_are_shown():
    result = CliRunner().invoke(main, ["presets", "tiny", "--set", "unet.blocks=3", "--set", "vae_training.decay=cosine"])
    values = json.loads(result.stdout)
    parameters = values.pop("parameters")
    plain = json.loads(CliRunner().invoke(main, ["presets", "tiny"]).stdout)["parameters"]
    assert from_dict(Preset, values) == override(PRESETS["tiny"], ["unet.blocks=3", "vae_training.decay=cosine"])
    assert parameters["unet"]["unet"] > plain["unet"]["unet"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["huge"], 2, "'huge'"),
        (["--set", "unet.blocks=3"], 2, "NAME"),
        (["tiny", "--set", "unet.block=3"], 1, "unet.blocks=2"),
        (["tiny", "--set", "unet.blocks=many"], 1, "int"),
        (["tiny", "--set", "unet.blocks=0"], 1, "UnetConfig.blocks can't be 0: it takes more than 0"),
        (["tiny", "--set", "unet.channels=[]"], 1, "more than 0"),
        (["tiny", "--set", "vae.strides=[2,-1]"], 1, "more than 0"),
        (["tiny", "--set", "vae.kl_weight=-1"], 1, "0 or more"),
        (["tiny", "--set", "diffusion.text_dropout=2"], 1, "0 to 1"),
        (["tiny", "--set", "editor_training.betas=[0.9,1.0]"], 1, "0 to less than 1"),
        (["tiny", "--set", "editor_training.learning_rate=NaN"], 1, "nan"),
        (["tiny", "--set", "vae.log_variance=-Infinity"], 1, "inf"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], code: int, said: str):
    result = CliRunner().invoke(main, ["presets", *arguments])
    assert result.exit_code == code and said in result.stderr and "Traceback" not in result.output
