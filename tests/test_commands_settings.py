"""`--set NAME=VALUE` of `edit` and `pair`: few options, typed settings, and names near to a wrong one."""

import click
import pytest
from click.testing import CliRunner, Result

from instructme.pipelines.cli import main
from instructme.pipelines.commands.options import SET, Finite, WithSettings


@click.command("toy", cls=WithSettings)
@SET
@click.option("--share", hidden=True, default=0.5, show_default=True, type=Finite(0, 1), help="A share.")
@click.option("--keep/--no-keep", hidden=True, default=None, help="Keep it.")
def toy(share: float, keep: bool | None) -> None:
    click.echo(f"{share} {keep}")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(toy, arguments)


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ((), "0.5 None"),
        (("--set", "share=0.25", "--set", "keep=no"), "0.25 False"),
        (("--set", "keep=yes"), "0.5 True"),
        (("--share", "0.75", "--no-keep"), "0.75 False"),
        (("--set", "share=0.25", "--share", "0.75"), "0.75 None"),
    ],
)
def test_settings_and_their_old_options_are_read(arguments: tuple[str, ...], output: str) -> None:
    assert invoke(*arguments).stdout.strip() == output


@pytest.mark.parametrize(
    ("setting", "words"),
    [("shaer=1", "nearest names: share"), ("share", "write NAME=VALUE"), ("share=2", "0<=x<=1"), ("share=nan", "finite")],
)
def test_settings_that_can_not_be_used_are_usage_errors(setting: str, words: str) -> None:
    result = invoke("--set", setting)
    assert result.exit_code == 2 and words in result.stderr and "--set" in result.stderr


def test_help_lists_settings_with_defaults_and_ranges() -> None:
    text = invoke("--help").stdout
    assert "--share" not in text
    assert "default: 0.5" in text.split("Settings")[1] and "0<=x<=1" in text


@pytest.mark.parametrize("verb", ["edit", "pair"])
def test_few_options_are_shown(verb: str) -> None:
    command = main.get_command(click.Context(main), verb)
    assert command
    shown = [each.name for each in command.params if isinstance(each, click.Option) and not each.hidden]
    assert len(shown) <= 10, shown
