"""Score cases and write the results: scores.parquet, sets.parquet, tables.md and scores.html."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from instructme.dataset_tools.recognisers import chord_network, weights
from instructme.manifests import tables
from instructme.manifests.counting import counted
from instructme.manifests.files import atomic
from instructme.manifests.rows import DataError, EditScore, SetScore
from instructme.model.tagger import TagHead
from instructme.pipelines.evaluation import features, model_card, score_page, scoring
from instructme.pipelines.evaluation.cases import Case
from instructme.pipelines.evaluation.embeddings import Networks
from instructme.pipelines.evaluation.metrics import inputs
from instructme.pipelines.evaluation.paper_tables import markdown_of_paper
from instructme.pipelines.evaluation.round_tables import markdown_of_rounds
from instructme.pipelines.evaluation.sample_distances import markdown_of_samples
from instructme.pipelines.evaluation.score_cases import ScoreSettings, check_systems, notes_of, score_cases
from instructme.pipelines.evaluation.score_tables import Scores, markdown
from instructme.pipelines.evaluation.set_scores import Embedded, markdown_of_sets, score_sets
from instructme.pipelines.evaluation.spectra import RATE_HZ
from instructme.pipelines.training.tagger import HEAD

FEATURES = "features"
WHOLE = (
    *("refused", "missing_edit", "unreadable_edit", "empty_edit", "lengths_differ"),
    *("unreadable_triplet", "silent_target", "empty_target"),
)
"""Reasons that an edit has for all metrics; others are reasons of one metric."""
DEFAULT_TAGGER = Path(__file__).with_name(HEAD)
TAGGER_ADVICE = "train a tagger with 'instructme train tagger' and name its run with --set tagger=RUN"


def names(folders: Sequence[Path], runs: Collection[str] = ()) -> dict[str, Path]:
    """Name systems by their folders.

    Raises:
        DataError: two folders have one name, or a folder has that of a run.
    """
    named = {folder.resolve().name: folder for folder in folders}
    if len(named) < len(folders):
        raise DataError("two folders of edits have the same name: rename one, because tables name systems by their folders")
    if both := sorted(set(named) & set(runs)):
        raise DataError(f"{both[0]} is the name of a run and of a folder of edits: rename one, because tables name systems so")
    return named


def evaluate(
    cases: Sequence[Case],
    out: Path,
    *,
    options: scoring.Options | None = None,
    tagger: Path | None = None,
    networks: Networks | None = None,
    runs: Mapping[str, Path] | None = None,
    shards: Path | None = None,
    rate_hz: int = RATE_HZ,
    controls: int | None = None,
    workers: int | None = None,
) -> Iterator[str]:
    """Score cases and write the results into `out`; yield lines for the user.

    Args:
        cases: triplets and their edits.
        out: folder to write.
        options: of metrics.
        tagger: run of `train tagger`; by default the tagger of the package, if it has one.
        networks: published weights for `fad_vggish`, `clap_score` and other columns, which are left out without them.
        runs: folders of systems that get a model card.
        shards: what was scored, if they are shards.
        rate_hz: of the waveforms that SI-SDR compares.
        controls: triplets of a task that controls are made for; all by default.
        workers: processes, by default one per core; 0 for none.

    Raises:
        DataError: a system has the name of a control, or there are no cases.
    """
    if not cases:
        raise DataError("there is nothing to score: the table or the split has no triplets")
    systems = check_systems(cases)
    networks = networks or Networks()
    metrics, lacking = scoring.usable(networks)
    out.mkdir(parents=True, exist_ok=True)
    if not any(case.absent for case in cases):
        metrics = [name for name in metrics if "absent" not in inputs(name)]
    head = read_tagger(tagger)
    if head is None:
        lacking |= {name: TAGGER_ADVICE for name in metrics if "tagger" in inputs(name)}
        metrics = [name for name in metrics if name not in lacking]
    heard_by = recognisers() | ({"tagger": head.digest()} if head else {}) | networks.digests()
    settings = ScoreSettings(tuple(metrics), options or {}, out / FEATURES, head, networks, rate_hz)
    scored = score_cases(cases, settings, with_controls=controls, workers=workers)
    rows = [row for _, scores in scored for row in scores.rows]
    stated = {"recognisers": heard_by, "options": options or {}, "rate_hz": rate_hz}
    tables.write(out / "scores.parquet", rows, EditScore, arguments=stated)
    embedded = [Embedded(scored, name) for name in (*networks.of_sets(), "musicnn")]
    sets = [score for each in embedded for score in score_sets(each)]
    tables.write(out / "sets.parquet", sets, SetScore, arguments=stated)
    scores = Scores(rows)
    extra = (markdown_of_rounds(scores), markdown_of_sets(embedded, sets), markdown_of_paper(scores, sets))
    notes = notes_of(scored)
    text = markdown(scores, lacking, notes, [*chain(*extra), *markdown_of_samples(cases)])
    with atomic(out / "tables.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    facts = {"triplets": f"{len(cases):,}", "systems": ", ".join(systems), **heard_by}
    score_page.write(out / "scores.html", cases, rows, scores, facts)
    yield from (model_card.write(run, name, scores, shards) for name, run in (runs or {}).items() if name in systems)
    yield from (f"{name} was not computed: {advice}" for name, advice in lacking.items())
    yield from _not_scored(rows, systems)
    yield from (f"{note}: {count:,}" for note, count in notes.items())
    of_whom = ", ".join(systems) or "no system"
    yield f"scored {counted(len(cases), 'triplet')} of {of_whom}: {out / 'tables.md'} and {out / 'scores.html'}"


def _not_scored(rows: Sequence[EditScore], systems: Sequence[str]) -> Iterator[str]:
    """Say for each system how many edits have no score at all, and why: their means are of other edits than those of others."""
    reasons: dict[str, dict[tuple[str, str], set[str]]] = {system: {} for system in systems}
    for row in (row for row in rows if row.system in reasons):
        reasons[row.system].setdefault((row.dataset, row.key), set()).add((row.reason or "").partition(":")[0])
    for system, edits in reasons.items():
        lost = Counter(reason for each in edits.values() for reason in each if len(each) == 1 and reason in WHOLE)
        if lost:
            why = ", ".join(f"{reason} {count}" for reason, count in sorted(lost.items()))
            yield f"{system}: {lost.total():,} of {len(edits):,} edits have no score ({why}), and are in no mean"


def read_tagger(run: Path | None) -> TagHead | None:
    """Read the reliable tags of a run of `train tagger`, or of the tagger in the package; None if there is none.

    Raises:
        ModelError: the run has none, or it is damaged.
    """
    if run is not None:
        return TagHead.read(run / HEAD).reliable()
    return TagHead.read(DEFAULT_TAGGER).reliable() if DEFAULT_TAGGER.is_file() else None


def recognisers() -> dict[str, str]:
    """Name the recognisers that are here, with the hashes of their weights."""
    here = {name for name, (available, _) in features.RECOGNISERS.items() if available()}
    chords = {"chords": chord_network.name()} if "chords" in here else {}
    return chords | {name: weights.label(of) for name, of in (("notes", "notes"), ("embedding", "musicnn")) if name in here}
