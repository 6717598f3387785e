"""URLs on the command line: what is a path, what is refused, and what is never repeated."""

import json
import sys
from pathlib import Path

import fsspec
import pytest
from click.testing import CliRunner, Result
from trees import build_slakh

from instructme.manifests import urls
from instructme.pipelines.cli import main

KEY_ID, SECRET = "AKIASENTINEL", "the-sentinel-secret"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def one_line(result: Result) -> str:
    """Check that a run ended with exit code 1 and one line that keeps the secret."""
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert result.output.count("\n") == 1 and SECRET not in result.output and KEY_ID not in result.output
    return result.output


def test_file_urls_are_local_paths(root: Path, tmp_path: Path) -> None:
    build_slakh(root)
    assert urls.parse(f"file://{root}") == root and not urls.is_remote(urls.parse(f"file://{root}"))
    assert invoke("scan", f"file://{root}", "-o", f"file://{tmp_path}/work").exit_code == 0
    assert json.loads((tmp_path / "work" / "datasets.json").read_text())["data"]["root"] == str(root)


@pytest.mark.parametrize(
    "url",
    [
        f"s3://{KEY_ID}:{SECRET}@bucket/x",
        f"s3://{KEY_ID}:{SECRET}/with@slash@bucket/x",
        f"https://host/x?X-Amz-Signature={SECRET}&y=1",
        f"abfs://container@account.dfs/x?sv=1&sig={SECRET}",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str, tmp_path: Path) -> None:
    for arguments in (("scan", url, "-o", tmp_path / "work"), ("verify", url), ("shard", tmp_path, "-o", url)):
        assert "credentials in a URL" in one_line(invoke(*arguments))
    assert not (tmp_path / "work").exists()


def test_working_folders_are_local(tmp_path: Path) -> None:
    for arguments in (
        ("scan", tmp_path, "-o", "s3://bucket/work"),
        *((verb, "s3://bucket/work") for verb in ("prepare", "pair", "shard")),
        ("build", tmp_path, "s3://bucket/work"),
        ("verify", tmp_path, "--work", "s3://bucket/work"),
    ):
        assert "WORK can't be a URL: tables and parts need a local or shared folder" in one_line(invoke(*arguments))


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    for package in ("s3fs", "upath"):
        monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
        monkeypatch.setitem(sys.modules, package, None)
        line = one_line(invoke("scan", "s3://bucket/x", "-o", tmp_path / "work"))
        assert "pip install 'instructme[cloud]'" in line
