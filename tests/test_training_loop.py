"""The loop on a toy: exact resumption, averaged weights, clean stops, the same losses on two ranks."""

import contextlib
import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_training as toy
from other_run import used_elsewhere
from safetensors.torch import load_file
from torch import nn

from instructme.manifests.rows import DataError
from instructme.model.checkpoint import load_weights, read_config
from instructme.model.config import ModelError
from instructme.pipelines.training import checkpoints
from instructme.pipelines.training.ema import Average
from instructme.pipelines.training.stop import Stop

SCRIPT = Path(__file__).with_name("toy_training.py")
TWO_RANKS = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
TIMES = ("step_s", "wait_s")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train 20 steps without a break."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    toy.run(folder)
    return folder


def lines(run: Path) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in TIMES} for line in read]


def losses(run: Path) -> list[float]:
    return [line["loss"] for line in lines(run) if "loss" in line]


def names(run: Path) -> list[str]:
    return sorted(each.name for each in (run / "checkpoints").iterdir())


def script(folder: Path, *arguments: str, launcher: tuple[str, ...] = (sys.executable,)) -> tuple[int, str]:
    """Train in a process group of its own, which ends with the test whatever happens; returns exit code and stderr."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*launcher, str(SCRIPT), str(folder), *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    try:
        _, errors = process.communicate(timeout=270)
        return process.returncode, errors
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def assert_same_run(run: Path, other: Path) -> None:
    """Compare losses, validation, users' weights and everything in the last checkpoint, bit for bit."""
    assert lines(run) == lines(other)
    last, others = checkpoints.found(run)[-1], checkpoints.found(other)[-1]
    assert last.name == others.name
    for path in [run / "weights.safetensors", *last.iterdir()]:
        twin = other / path.relative_to(run)
        assert path.read_bytes() == twin.read_bytes(), path.name


def test_a_run_folder_describes_itself(whole: Path):
    preset, config = read_config(whole, "editor")
    assert preset == toy.preset() and config["data"] == {"hash": "0"} and config["seed"] == 0
    assert (whole / "edits.html").read_text() == "<p>20</p>"
    steps = [line["step"] for line in lines(whole) if "loss" in line]
    assert steps == list(range(1, 21))
    assert [line["step"] for line in lines(whole) if "validation_loss" in line] == [5, 10, 15, 20]
    assert not [each for each in whole.rglob("*") if each.name.startswith(".")]


def test_it_learns(tmp_path: Path):
    toy.run(tmp_path, steps=300, learning_rate=0.02, validate_every=100, checkpoint_every=300, decay="constant")
    validated = [line["validation_loss"] for line in lines(tmp_path) if "validation_loss" in line]
    assert validated[-1] < 0.2 * losses(tmp_path)[0]


def test_users_get_the_average_and_not_the_last_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The oracle averages the parameters after each step in float64, outside of the loop."""
    seen: list[dict[str, torch.Tensor]] = []
    update = Average.update

    def spy(self: Average, updates: int) -> None:
        net = made[0].modules["net"]
        seen.append({name: each.detach().double().clone() for name, each in net.named_parameters()})
        update(self, updates)

    made: list[toy.Toy] = []
    build = toy.Toy.__init__

    def noted(self: toy.Toy, *arguments: Any, **named: Any) -> None:
        build(self, *arguments, **named)
        made.append(self)
        seen.append({name: each.detach().double().clone() for name, each in self.modules["net"].named_parameters()})

    monkeypatch.setattr(toy.Toy, "__init__", noted)
    monkeypatch.setattr(Average, "update", spy)
    toy.run(tmp_path)
    first, *after = seen
    expected = first
    for updates, weights in enumerate(after):
        decay = min(0.97, (1 + updates) / (10 + updates))
        expected = {name: decay * expected[name] + (1 - decay) * weights[name] for name in weights}
    exported, average = load_weights(tmp_path), load_weights(checkpoints.found(tmp_path)[-1], "average")
    last = load_weights(checkpoints.found(tmp_path)[-1], "net")
    for name, value in expected.items():
        torch.testing.assert_close(exported[name].double(), value, rtol=1e-5, atol=1e-6)
        assert torch.equal(exported[name], average[name]) and not torch.equal(exported[name], last[name])
        assert torch.equal(last[name].double(), after[-1][name])
    # `finish` sets the buffer from the weights that users get; the validation saw them, too.
    assert exported["sum"].item() == pytest.approx(sum(value.sum().item() for value in expected.values()), rel=1e-4)
    net = toy.Net()
    net.load_state_dict(exported)
    x = torch.linspace(-3, 3, 50)[:, None]
    assert nn.functional.mse_loss(net(x), torch.sin(x)).item() == pytest.approx(lines(tmp_path)[-1]["validation_loss"])


@pytest.mark.parametrize("after", [2, 8, 17])
def test_a_killed_run_goes_on_bit_for_bit(whole: Path, tmp_path: Path, after: int):
    """Killed before the first checkpoint, before and after the second optimiser starts (step 8)."""
    assert script(tmp_path / "run", "--die-after", str(after))[0] == -signal.SIGKILL
    assert len(losses(tmp_path / "run")) == after
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 18, "lo')
    (tmp_path / "run" / "checkpoints" / ".step-00000099.1").mkdir(parents=True)
    toy.run(tmp_path / "run")
    assert_same_run(whole, tmp_path / "run")
    assert not any(name.startswith(".") for name in names(tmp_path / "run"))


@pytest.mark.parametrize(("option", "code"), [("--signal-after", 143), ("--sigint-after", 130)])
def test_a_signal_saves_and_exits(whole: Path, tmp_path: Path, option: str, code: int):
    exit_code, errors = script(tmp_path, option, "7")
    assert (
        exit_code == code and "ending after this step" in errors and "saved after step 8" in errors and "Traceback" not in errors
    )
    assert names(tmp_path) == ["step-00000005", "step-00000008"]
    toy.run(tmp_path)
    assert lines(tmp_path) == lines(whole)
    weights, expected = load_weights(tmp_path), load_weights(whole)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_a_second_signal_acts_at_once():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # not so in the background of a shell
    with Stop() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked and stop.exit_code == 130
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_two_ranks_train_as_one_does(whole: Path, tmp_path: Path):
    """DDP over gloo; then one process goes on from what two have saved."""
    exit_code, errors = script(tmp_path / "two", launcher=TWO_RANKS)
    assert exit_code == 0, errors
    assert losses(tmp_path / "two") == pytest.approx(losses(whole), rel=1e-4, abs=1e-6)
    weights, expected = load_weights(tmp_path / "two"), load_weights(whole)
    assert weights.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(weights[name], expected[name], rtol=1e-3, atol=1e-5)
    for step in checkpoints.found(tmp_path / "two")[1:]:
        shutil.rmtree(step)
    toy.run(tmp_path / "two")
    assert losses(tmp_path / "two") == pytest.approx(losses(whole), rel=1e-4, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("option", [(), ("--sharded",)], ids=["copies", "sharded"])
def test_two_ranks_go_on_from_what_two_ranks_saved(whole: Path, tmp_path: Path, option: tuple[str, ...]):
    """DDP, and FSDP 2 over gloo; the folder they leave is the same as that of one process."""
    for _ in range(2):
        exit_code, errors = script(tmp_path, *option, launcher=TWO_RANKS)
        assert exit_code == 0, errors
        assert losses(tmp_path) == pytest.approx(losses(whole), rel=1e-4, abs=1e-6)
        last, expected = checkpoints.found(tmp_path)[-1], checkpoints.found(whole)[-1]
        for path, twin in [(each, last / each.name) for each in expected.glob("*.safetensors")] + [
            (whole / "weights.safetensors", tmp_path / "weights.safetensors")
        ]:
            loaded, wanted = load_file(twin), load_file(path)
            assert loaded.keys() == wanted.keys() and wanted
            for name in wanted:
                torch.testing.assert_close(loaded[name], wanted[name], rtol=1e-3, atol=1e-5)
        shutil.rmtree(last)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_processes_that_do_not_work_together_are_refused(tmp_path: Path):
    """Without a GPU accelerate leaves them apart, and each would write its own weights into the one folder."""
    exit_code, errors = script(tmp_path, "--device", "auto", launcher=TWO_RANKS)
    assert exit_code != 0 and "2 processes were started" in errors and "--device cpu" in errors
    assert not list(tmp_path.iterdir())


def test_the_learning_rate_is_that_of_the_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("instructme.pipelines.training.loop.schedule", lambda training, step: 0.0)
    toy.run(tmp_path / "still", steps=2)
    toy.run(tmp_path / "one", steps=1)
    still, one = load_weights(tmp_path / "still"), load_weights(tmp_path / "one")
    assert all(torch.equal(still[name], one[name]) for name in one)


def test_what_can_not_be_shown_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def preview(self: object, run: Path, step: int, accelerator: Any) -> None:
        assert checkpoints.found(run)[-1].name == f"step-{step:08d}"  # worth more than to be shown
        raise DataError("no sound")

    monkeypatch.setattr(toy.Toy, "preview", preview)
    toy.run(tmp_path, steps=2, validate_every=2)
    assert "nothing to show after step 2: no sound" in capsys.readouterr().err and load_weights(tmp_path)


@pytest.mark.slow
def test_compiled_networks_are_saved_under_their_own_names(whole: Path, tmp_path: Path):
    preset = toy.preset()
    for _ in range(2):
        toy.train(
            toy.Toy(preset), tmp_path, preset=preset, batches=toy.batches(), data={"hash": "0"}, device="cpu", compiled=True
        )
        assert losses(tmp_path) == pytest.approx(losses(whole), rel=1e-3, abs=1e-5)
        assert load_weights(tmp_path).keys() == load_weights(whole).keys()
        shutil.rmtree(checkpoints.found(tmp_path)[-1])


def test_accumulation_changes_no_loss(whole: Path, tmp_path: Path):
    toy.run(tmp_path, accumulation=4)
    assert losses(tmp_path) == pytest.approx(losses(whole), rel=1e-4, abs=1e-6)


def test_more_parts_are_taken_where_the_memory_is_too_small(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The first try fails in its second part, when gradients of the first are there already."""
    update, fits = toy.Toy.update, 1

    def small(self: toy.Toy, batch: Any, step: int, accelerator: Any) -> dict[str, torch.Tensor]:
        if len(batch["x"]) > fits and accelerator.step > 1:
            raise torch.OutOfMemoryError("no more memory. Tried to allocate")
        return update(self, batch, step, accelerator)

    monkeypatch.setattr(toy.Toy, "update", small)
    toy.run(tmp_path / "run", accumulation=2)
    assert losses(tmp_path / "run") == pytest.approx(losses(whole), rel=1e-4, abs=1e-6)
    assert "each step takes 4 parts now" in capsys.readouterr().err
    fits = 0
    with pytest.raises(ModelError, match=r"too small for a step \(no more memory\)"):
        toy.run(tmp_path / "none", accumulation=2)


def test_bf16_trains_near_float32(whole: Path, tmp_path: Path):
    toy.run(tmp_path, precision="bf16")
    assert losses(tmp_path) == pytest.approx(losses(whole), rel=0.1, abs=0.02) and losses(tmp_path) != losses(whole)
    assert all(each.dtype == torch.float32 for each in load_weights(tmp_path).values())


def test_more_steps_may_be_asked_for_and_a_finished_run_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    toy.run(tmp_path, steps=10, decay="constant")
    before = (tmp_path / "weights.safetensors").stat().st_mtime_ns
    for steps in (10, 5):
        toy.run(tmp_path, steps=steps, decay="constant")
        assert (tmp_path / "weights.safetensors").stat().st_mtime_ns == before and "10 steps already" in capsys.readouterr().err
        assert read_config(tmp_path)[0].editor_training.steps == 10
    toy.run(tmp_path, steps=20, decay="constant")
    assert len(losses(tmp_path)) == 20
    toy.run(tmp_path / "at once", steps=20, decay="constant")
    assert_same_run(tmp_path / "at once", tmp_path)


def test_the_last_checkpoints_are_kept_and_know_the_best_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    values = iter([0.5, 0.4, 0.2, 0.3, 0.6, 0.7])
    monkeypatch.setattr(toy.Toy, "validate", lambda self, accelerator: {"loss": next(values)})
    toy.run(tmp_path, steps=30, checkpoint_every=5, validate_every=5, keep=2)
    assert names(tmp_path) == ["step-00000025", "step-00000030"]
    state = checkpoints.state(tmp_path / "checkpoints" / "step-00000030")
    assert state["best"] == (False, pytest.approx(-0.2)) and state["validation_loss"] == pytest.approx(0.7)


def test_checkpoints_by_the_clock_change_nothing(whole: Path, tmp_path: Path):
    """One is due at every step here; a run that is killed between two of them ends as one that was never stopped."""
    assert script(tmp_path / "run", "--die-after", "7", "--minutes", "1e-9")[0] == -signal.SIGKILL
    assert names(tmp_path / "run") == ["step-00000006", "step-00000007"]
    toy.run(tmp_path / "run", checkpoint_every=0, checkpoint_minutes=1e-9)
    assert_same_run(whole, tmp_path / "run")
    toy.run(tmp_path / "rare", checkpoint_every=0, checkpoint_minutes=60)
    assert names(tmp_path / "rare") == ["step-00000005", "step-00000020"]
    assert_same_run(whole, tmp_path / "rare")


@pytest.mark.parametrize("name", ["loss", "score"])
def test_users_get_the_weights_of_the_best_validation(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sign = {"loss": 1, "score": -1}[name]
    values = iter([0.5, 0.2, 0.3, 0.4, 0.5, 0.2])
    monkeypatch.setattr(toy.Toy, "validate", lambda self, accelerator: {"loss": 1.0, name: sign * next(values)})
    toy.run(tmp_path / "whole", steps=20, decay="constant")
    toy.run(tmp_path / "to the best", steps=10, decay="constant")
    ours, best = (load_weights(tmp_path / name) for name in ("whole", "to the best"))
    assert all(torch.equal(ours[name], best[name]) for name in best)


def test_a_batch_without_a_finite_gradient_is_skipped_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    toy.run(tmp_path, poison=(6, 7), checkpoint_every=1, keep=20)
    assert [line["step"] for line in lines(tmp_path) if line.get("skipped")] == [7, 8] and len(losses(tmp_path)) == 18
    assert "step 7: the loss or its gradient is not finite" in capsys.readouterr().err
    weights = [load_weights(each, "net") for each in checkpoints.found(tmp_path)]
    same = [all(torch.equal(one[name], other[name]) for name in one) for one, other in itertools.pairwise(weights)]
    assert same == [step in (6, 7) for step in range(1, 20)]
    assert all(each.isfinite().all() for each in load_weights(tmp_path).values())
    logged = [line for line in lines(tmp_path) if "loss" in line]
    assert all(line["net_gradient_norm"] > 0 for line in logged) and "NaN" not in (tmp_path / "metrics.jsonl").read_text()


def test_many_bad_batches_in_a_row_name_step_and_checkpoint(tmp_path: Path):
    with pytest.raises(ModelError, match=r"loss is nan at step 17: .*last good checkpoint is .*step-00000015") as raised:
        toy.run(tmp_path, poison=range(7, 20))
    assert "\n" not in str(raised.value)
    assert names(tmp_path)[-1] == "step-00000015" and all(each.isfinite().all() for each in load_weights(tmp_path).values())
    with pytest.raises(ModelError, match=r"loss is nan at step 10: .*no checkpoint"):
        toy.run(tmp_path / "early", poison=range(20), checkpoint_every=0, validate_every=0)


def test_a_bad_batch_of_one_rank_is_skipped_by_all(tmp_path: Path):
    exit_code, errors = script(tmp_path, "--poison", "7", launcher=TWO_RANKS)
    assert exit_code == 0, errors
    assert [line["step"] for line in lines(tmp_path) if line.get("skipped")] == [8] and len(losses(tmp_path)) == 19
    assert all(each.isfinite().all() for each in load_weights(tmp_path).values())


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path):
    """The loss of the last step before a checkpoint is finite, but its gradient is not."""

    class Exploding(toy.Toy):
        def update(self, batch: Any, step: int, accelerator: Any) -> dict[str, torch.Tensor]:
            values = super().update(batch, step, accelerator)
            if step == 9:
                with torch.no_grad():
                    next(self.modules["net"].parameters()).fill_(math.inf)
            return values

    preset = toy.preset()
    with pytest.raises(ModelError, match=r"step 10.*step-00000005"):
        toy.train(Exploding(preset), tmp_path, preset=preset, batches=toy.batches(), data={"hash": "0"}, device="cpu")
    assert names(tmp_path) == ["step-00000005"]


@pytest.mark.parametrize("file", ["state.json", "net.safetensors", "average.safetensors", "second.optimizer.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_a_damaged_checkpoint_is_named_and_can_be_removed(whole: Path, tmp_path: Path, file: str, damage: str):
    folder = shutil.copytree(whole, tmp_path / "run")
    last = checkpoints.found(folder)[-1]
    if damage == "cut":
        (last / file).write_bytes((last / file).read_bytes()[:-9])
    else:
        (last / file).unlink()
    with pytest.raises(ModelError, match=r"step-00000020 is damaged.*remove this folder") as raised:
        toy.run(folder)
    assert "\n" not in str(raised.value)
    shutil.rmtree(last)
    toy.run(folder)
    assert_same_run(whole, folder)


def test_more_steps_may_bring_a_module_that_the_checkpoint_does_not_hold(tmp_path: Path):
    """As discriminators do that start after the steps first asked for; the run is then as if they had been there."""

    class Late(toy.Toy):
        def __init__(self, preset: Any) -> None:
            super().__init__(preset, second_from=8)
            if preset.editor_training.steps <= 8:
                del self.modules["second"], self.optimizers["second"]

    for folder, asked in (("broken", (5, 20)), ("whole", (20,))):
        for steps in asked:
            preset = toy.preset(steps=steps, decay="constant")
            options = {"batches": toy.batches(), "data": {"hash": "0"}, "device": "cpu"}
            toy.train(Late(preset), tmp_path / folder, preset=preset, **options)
    assert_same_run(tmp_path / "whole", tmp_path / "broken")


def test_a_run_that_another_process_trains_is_refused(tmp_path: Path) -> None:
    with used_elsewhere(tmp_path), pytest.raises(DataError, match=f"in use by another command: {tmp_path}"):
        toy.run(tmp_path)
    toy.run(tmp_path, steps=1)
