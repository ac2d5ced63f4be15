"""Made from the verbs by `python -m linnaea.verbs.stub`."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from linnaea.classifier.signed import Signed
from linnaea.data.versions.changes import Diff
from linnaea.delivery.exporters import Exported
from linnaea.delivery.model_registries import Pulled
from linnaea.delivery.model_registries import Pushed
from linnaea.delivery.model_registries.promotion import Moved
from linnaea.delivery.serving.audit_log.checking import CheckedLog
from linnaea.delivery.serving.keys import NewKey
from linnaea.evidence.comparison.many import Comparisons
from linnaea.evidence.comparison.over_datasets import DatasetComparisons
from linnaea.evidence.comparison.two import Comparison
from linnaea.evidence.evaluation import Evaluation
from linnaea.experiments.audit import Audit
from linnaea.experiments.benching import Bench
from linnaea.experiments.discovery import Discovery
from linnaea.experiments.explanation.explanation import Explanation
from linnaea.experiments.exporting import Exports
from linnaea.experiments.monitoring.monitoring import Asked
from linnaea.experiments.monitoring.monitoring import Monitored
from linnaea.experiments.network_list import NetworkList
from linnaea.experiments.preview_sheet import Preview
from linnaea.experiments.release import Check
from linnaea.experiments.retraining import Retrained
from linnaea.experiments.reviewing.gathering import Review
from linnaea.experiments.scoring import Scored
from linnaea.registry.overview import Listing
from linnaea.verbs.doctor import Diagnosis
from pathlib import Path
from typing import Any
from linnaea.classifier import Classifier as Classifier
from linnaea.dataset import Dataset as Dataset
from linnaea.finding import Estimate as Estimate
from linnaea.finding import Finding as Finding
from linnaea.estimator import ImageClassifier as ImageClassifier
from linnaea.errors import LinnaeaError as LinnaeaError
from linnaea.predictions import Predictions as Predictions
from linnaea.run import Run as Run
from linnaea.classifier import load as load

__all__ = [
    "Classifier",
    "Dataset",
    "Estimate",
    "Finding",
    "ImageClassifier",
    "LinnaeaError",
    "Predictions",
    "Run",
    "adapt_prior",
    "ask",
    "audit",
    "bench",
    "cache",
    "calibrate",
    "check",
    "check_split",
    "compare",
    "compress",
    "convert",
    "datasheet",
    "demo",
    "diff",
    "discover",
    "doctor",
    "dossier",
    "ensemble",
    "evaluate",
    "explain",
    "export",
    "folds",
    "grow",
    "key",
    "list_models",
    "load",
    "methods",
    "monitor",
    "predict",
    "preview",
    "pull",
    "push",
    "read",
    "report",
    "retrain",
    "review",
    "rollback",
    "score",
    "serve",
    "sign",
    "split",
    "train",
    "tune",
    "verify",
]
__version__: str

def adapt_prior(
    run: str | Path | Run,
    prior: Mapping[str, float] | None = None,
    *,
    images: str | Path | Dataset | Sequence[str | Path] | None = None,
) -> Classifier:
    """A run's classifier for images among which the classes have other shares than in the run's data."""

def ask(
    classifier: Classifier | Run | str | Path,
    images: str | Path | Dataset | Sequence[str | Path],
    *,
    n: int = 50,
    method: str = 'margin',
    estimate: bool = True,
    max_pixels: int | None = None,
    seed: int = 0,
    device: str = 'auto',
) -> Asked:
    """Choose the `n` images that are most worth labelling, by a query strategy."""

def audit(
    data: str | Path | Dataset,
    *,
    also: Sequence[str | Path | Dataset] = (),
    img_size: int | None = None,
    fit: str = 'crop',
    channels: int = 3,
    max_pixels: int | None = None,
    duplicates: str = 'near',
    weights: str | Path = 'auto',
    seed: int = 0,
) -> Audit:
    """Look at labelled images before any model does; returns the findings, which behave as a sequence."""

def bench(
    folders: str | Path | Sequence[str | Path],
    *,
    images: str | Path | Sequence[str | Path] | None = None,
    rounds: int = 5,
    threads: int | None = None,
    trust: Sequence[str | Path] = (),
) -> Bench:
    """Measure what classifiers cost, each in a fresh process, by turns; see `linnaea.experiments.benching.Measured`."""

def cache(
    *,
    clear: bool = False,
) -> dict[str, Any]:
    """What the cache holds, and how many bytes of it were freed, all of them with `clear`."""

def calibrate(
    run: str | Path | Run,
    data: str | Path | Dataset | None = None,
    *,
    out: str | Path | None = None,
    coverage: float | None = None,
    unsure_rate: float | None = None,
    unfamiliar_rate: float | None = None,
    aim: str | None = None,
    risk: float | None = None,
    calibrator: str | None = None,
    sets: str | None = None,
) -> Classifier:
    """Calibrate the classifier of a run anew, and write it as a bundle into the folder `out` (None: RUN/calibrated)."""

def check(
    run: str | Path | Run | None = None,
    *,
    rules: str | Path | Mapping[str, Any] | None = None,
    signed_off_by: str | None = None,
    strict: bool = False,
    device: str = 'auto',
) -> Check:
    """Judge a finished run by the rules of the release gate, and write the record into its bundle, `model/check.json`."""

def check_split(
    data: str | Path | Dataset,
    *,
    channels: int = 3,
    max_pixels: int | None = None,
    duplicates: str = 'near',
    split_by: str = 'stratified',
) -> list[Finding]:
    """Look for leaks in splits (and folds) that are given, and change nothing."""

def compare(
    first: str | Path,
    second: str | Path,
    others: Sequence[str | Path] = (),
    *,
    data: str | Path | Dataset | None = None,
    metric: str | None = None,
    margin: float | None = None,
    out: Path | None = None,
    trust: Sequence[str | Path] = (),
) -> Comparison | Comparisons | DatasetComparisons:
    """Compare two or more classifiers on the images that all of them have; see `linnaea.evidence.compare`."""

def compress(
    run: str | Path | Run,
    *,
    out: str | Path | None = None,
    method: Sequence[str] = ('quantize',),
    max_drop: float = 0.5,
    target: str | None = None,
    bits: int = 8,
    backend: str | None = None,
    student: str | None = None,
    match: str = 'logits',
    trials: int = 12,
    device: str = 'auto',
) -> Classifier:
    """Make the classifier of a finished run smaller or faster by one method or several, as a new run in `out`."""

def convert(
    data: str | Path | Dataset,
    out: str | Path,
    *,
    to: str = 'folder',
    split: str | Sequence[str] | None = None,
    images_per_shard: int = 10000,
) -> Dataset:
    """Write labelled images in another form into the folder `out`, and return the dataset that is read from there."""

def datasheet(
    data: str | Path | Dataset,
    *,
    out: str | Path | None = None,
) -> Path:
    """Write an empty datasheet, with what can be counted filled in; raises UsageError where there is one already."""

def demo(
    *,
    out: str | Path = Path("runs/demo"),
) -> Path:
    """Write the digits as PNG class folders below `out`, then audit, train, export and predict, saying each step."""

def diff(
    first: str | Path | Dataset | Run,
    second: str | Path | Dataset | Run,
) -> Diff:
    """What changed from one version of a dataset to another: added, removed, moved, relabelled, re-split and so on."""

def discover(
    run: str | Path | Run,
    images: str | Path | Dataset | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    smallest: int = 5,
) -> Discovery:
    """Group the images that a run's classifier calls unfamiliar, and propose each group as a new class."""

def doctor(
    *,
    network: str | None = None,
    img_size: int | None = 224,
    batch_size: int | str | None = 32,
    device: str = 'auto',
) -> Diagnosis:
    """What this machine and this installation can do; with `network`, how fast it embeds and trains, and how."""

def dossier(
    run: str | Path | Run | None = None,
    *,
    statements: str | Path | None = None,
    out: str | Path | None = None,
) -> Path:
    """Write the dossier of a finished run and return its path: one HTML file, to be read or printed."""

def ensemble(
    runs: Sequence[str | Path],
    *,
    out: str | Path | None = None,
) -> Classifier:
    """Combine finished runs into a classifier that answers by the mean of their probabilities, as a new run in `out`."""

def evaluate(
    classifier: Classifier | Run | Predictions | str | Path,
    data: str | Path | Dataset | None = None,
    *,
    prevalence: float | None = None,
    unknown: str | Path | Sequence[str | Path] | None = None,
    trust: Sequence[str | Path] = (),
    by: Sequence[str] = (),
    smallest: int = 10,
    find_slices: bool = False,
    max_pixels: int | None = None,
    device: str = 'auto',
) -> Evaluation:
    """Judge a classifier on labelled images, or a run on its own test split, which is counted as opened once more."""

def explain(
    classifier: Classifier | Run | str | Path,
    images: str | Path | Dataset | Sequence[str | Path] | None = None,
    *,
    out: str | Path | None = None,
    method: Sequence[str] | None = None,
    target: str | None = None,
    layer: str | None = None,
    samples: int | None = None,
    channel: int | None = None,
    concept: str | Path | None = None,
    against: str | Path | None = None,
    check: Sequence[str] | None = None,
    boxes: str | Path | None = None,
    most: int = 16,
    max_pixels: int | None = None,
    seed: int = 0,
    device: str = 'auto',
) -> Explanation:
    """Show what in images speaks for a class, by maps and by other images, and write it into a folder."""

def export(
    run: str | Path | Run,
    to: str | Sequence[str] = 'onnx',
    *,
    precision: str = 'fp32',
    out: str | Path | None = None,
) -> Exported | Exports:
    """Export a run's classifier and check that the exported files answer the same; see `linnaea.delivery.exporters`."""

def folds(
    data: str | Path | Dataset,
    *,
    folds: int | None = None,
    repeats: int | None = None,
    channels: int = 3,
    max_pixels: int | None = None,
    duplicates: str = 'near',
    seed: int = 0,
) -> Iterator[Dataset]:
    """Datasets for cross-validation: each fold of each repeat is once test, val comes out of the rest, the rest trains."""

def grow(
    run: str | Path | Run,
    data: str | Path | Dataset,
    *,
    out: str | Path | None = None,
) -> Classifier:
    """Teach the classifier of a run further classes, or more of its own, and leave a new run in the folder `out`."""

def key(
    name: str,
    *,
    file: str | Path = Path("keys.json"),
    expires: str | float | None = None,
    revoke: bool = False,
) -> NewKey:
    """Make a key of 256 random bits, whose secret is returned and nowhere kept, or take one out of the file."""

def list_models(
    pattern: str | None = None,
    *,
    names: bool = False,
    folder: str | Path | None = None,
) -> NetworkList:
    """The rungs, registered models and networks of timm and torchvision whose names match a pattern."""

def methods(
    family: str | None = None,
) -> Listing:
    """Every member of every family, or of one: its name, its title, what it does, what it takes, and whose it is."""

def monitor(
    classifier: Classifier | Run | str | Path,
    *,
    log: str | Path | None = None,
    images: str | Path | Sequence[str | Path] | None = None,
    labels: str | Path | None = None,
    reference: str | Path = 'test',
    window: str | int = '500',
    rate: float = 0.01,
    alert: Sequence[str] = (),
    out: str | Path | None = None,
    max_pixels: int | None = None,
    seed: int = 0,
    device: str = 'auto',
) -> Monitored:
    """Compare what came since, window by window, with what the classifier was judged on, and write what is found."""

def predict(
    classifier: Classifier | Run | str | Path,
    images: str | Path | Dataset | Sequence[str | Path],
    *,
    damaged: str = 'refuse',
    trust: Sequence[str | Path] = (),
    max_pixels: int | None = None,
    device: str = 'auto',
    precision: str = 'float32',
) -> Predictions:
    """Answer for image files; folders and archives among them stand for the images in them."""

def preview(
    data: str | Path | Dataset,
    *,
    out: str | Path = Path("preview.png"),
    img_size: int | None = None,
    fit: str = 'crop',
    channels: int = 3,
    max_pixels: int | None = None,
    model: str = 'auto',
    weights: str | Path = 'auto',
    augment: Sequence[str] | None = None,
    seed: int = 0,
) -> Preview:
    """Draw one training image of each class, at most 12, as decoded and as seven draws of the augmentations."""

def pull(
    source: str,
    folder: str | Path,
    *,
    trust: Sequence[str | Path] = (),
) -> Pulled:
    """Fetch a version of a bundle, check all of it, and only then let it appear in a folder."""

def push(
    run: str | Path | Run,
    target: str,
    *,
    tag: Sequence[str] = (),
) -> Pushed:
    """Keep the bundle of a run, or a bundle or an export, as a version in a registry, which numbers it."""

def read(
    source: Any,
    *,
    folder: str | Path | None = None,
) -> Dataset:
    """Read labelled images from a folder, a table, an archive, a native format, a name, or an object of `datasets`."""

def report(
    run: str | Path | Run,
) -> Path:
    """Write the run's report again and return its path; raises RunError where predictions of it have changed."""

def retrain(
    run: str | Path | Run,
    *,
    review: str | Path | None = None,
    log: str | Path | None = None,
    monitoring: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    trust: Sequence[str | Path] = (),
    when: Sequence[str] = ('drift', 'coverage', 'labels:200', 'every:30d'),
    test_share: float = 0.3,
    val_share: float = 0.15,
    margin: float = 0.02,
    on_new: str = 'better',
    rules: str | Path | Mapping[str, Any] | None = None,
    place: str | None = None,
    tag: str = 'production',
    warm_start: bool = False,
    device: str = 'auto',
) -> Retrained:
    """Train a run again where something calls for it, and promote the new one only where all that is asked holds."""

def review(
    classifier: Classifier | Run | str | Path,
    *,
    source: str | Path | None = None,
    out: str | Path | None = None,
    most: int = 200,
    answers: str = 'after',
    max_pixels: int | None = None,
    device: str = 'auto',
) -> Review:
    """List the images that somebody should look at, those in most doubt first; the command serves them in a page."""

def rollback(
    place: str,
    *,
    reason: str = '',
    to: str | None = None,
    tag: str = 'production',
    trust: Sequence[str | Path] = (),
) -> Moved:
    """Let the tag of a place point to the version before, which is checked first; the history says why and when."""

def score(
    classifier: str | Path | Run,
    images: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    on: str = 'here',
    damaged: str = 'refuse',
    trust: Sequence[str | Path] = (),
    max_pixels: int | None = None,
    device: str = 'auto',
    precision: str = 'float32',
) -> Scored:
    """Answer for images as `predict` does, each once, into a Parquet file; memory does not grow with their number."""

def serve(
    models: str | Path | Sequence[str | Path],
    *,
    host: str = '127.0.0.1',
    port: int = 8000,
    damaged: str = 'refuse',
    review: str | Path | None = None,
    trust: Sequence[str | Path] = (),
    monitor: str | Path | None = None,
    window: int = 500,
    alarm_rate: float = 0.01,
    alert: Sequence[str] = ('log',),
    keys: str | Path | None = None,
    rate: str | None = None,
    cors: Sequence[str] = (),
    log: str | Path | None = None,
    log_sync: str = 'second',
    log_size: str = '64MB',
    keep_images: bool = False,
    on_log_failure: str = 'refuse',
    workers: int = 1,
    canary: Sequence[str] = (),
    reload_every: float | None = None,
    reload_agreement: float = 0.5,
    admin: Sequence[str] = (),
    max_body: int = 20971520,
    max_header: int = 16384,
    max_images: int = 32,
    json_depth: int = 32,
    max_queue: int = 128,
    max_requests: int = 64,
    max_connections: int = 256,
    header_time: float = 10.0,
    body_time: float = 30.0,
    answer_time: float = 30.0,
    idle_time: float = 15.0,
    drain_time: float = 30.0,
    formats: Sequence[str] = (),
    batch: int = 32,
    decoders: int | None = None,
    max_review: int = 10000,
    max_pixels: int | None = None,
    device: str = 'auto',
) -> None:
    """Answer images over HTTP until the process is told to end, then what was accepted; see `docs/serving.md`."""

def sign(
    run: str | Path | Run | None = None,
    *,
    key: str | Path | None = None,
    signed_by: str = '',
) -> Signed:
    """Sign the bundle of a run, or a bundle or an export, with the private key in a file."""

def split(
    data: str | Path | Dataset,
    *,
    fractions: Mapping[str, float] | None = None,
    folds: int | None = None,
    repeats: int = 1,
    channels: int = 3,
    max_pixels: int | None = None,
    duplicates: str = 'near',
    split_by: str = 'stratified',
    seed: int = 0,
) -> Dataset:
    """Split images into train, val and test, duplicates and groups never apart. Returns the dataset."""

def train(
    data: str | Path | Dataset,
    *,
    also: Sequence[str | Path | Dataset] = (),
    out: str | Path | None = None,
    resume: bool = False,
    log: Sequence[str] = (),
    img_size: int | None = None,
    fit: str = 'crop',
    channels: int = 3,
    max_pixels: int | None = None,
    duplicates: str = 'near',
    split_by: str = 'stratified',
    split_seed: int | None = None,
    datasheet: str | Path | None = None,
    stream: bool = False,
    model: str = 'auto',
    weights: str | Path = 'auto',
    model_args: Mapping[str, Any] | Sequence[str] = (),
    epochs: int | None = None,
    batch_size: int | str | None = None,
    learning_rate: float | None = None,
    augment: Sequence[str] | None = None,
    balance: str | None = None,
    fair: str | None = None,
    fair_by: str | None = None,
    loss: str | None = None,
    objective: str | None = None,
    teacher: str | Path | None = None,
    optimizer: str | None = None,
    schedule: str | None = None,
    warmup: float | None = None,
    find_lr: bool = False,
    accumulate: int | None = None,
    clip_norm: float | None = None,
    ema: float | None = None,
    label_smoothing: float | None = None,
    dropout: float | None = None,
    drop_path: float | None = None,
    on_nan: str | None = None,
    patience: int | None = None,
    unfreeze: str | None = None,
    lora: int | None = None,
    soup: int | None = None,
    uncertainty: int | str | None = None,
    layer_decay: float | None = None,
    coverage: float = 0.9,
    unsure_rate: float = 0.05,
    unfamiliar_rate: float = 0.05,
    ood: str = 'auto',
    hold_out: Sequence[str] | None = None,
    aim: str | None = None,
    positive: str | None = None,
    risk: float | None = None,
    calibrator: str = 'auto',
    sets: str | None = None,
    time_limit: str | float | None = None,
    checkpoint_every: str | float = '60s',
    seed: int = 0,
    device: str = 'auto',
    precision: str = 'auto',
    memory_format: str = 'auto',
    strategy: str = 'auto',
    folds: int | None = None,
    seeds: int | None = None,
) -> Classifier:
    """Train a classifier on labelled images and leave the run, with all its evidence, in the folder `out`."""

def tune(
    data: str | Path | Dataset,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    log: Sequence[str] = (),
    search: str = 'bayes',
    trials: int | None = None,
    budget: str | float | None = None,
    space: str | Path | Mapping[str, Any] | None = None,
    on: str = 'here',
    inner_folds: int | None = None,
    img_size: int | None = None,
    fit: str = 'crop',
    channels: int = 3,
    max_pixels: int | None = None,
    duplicates: str = 'near',
    split_by: str = 'stratified',
    split_seed: int | None = None,
    datasheet: str | Path | None = None,
    stream: bool = False,
    model: str = 'auto',
    weights: str | Path = 'auto',
    model_args: Mapping[str, Any] | Sequence[str] = (),
    epochs: int | None = None,
    batch_size: int | str | None = None,
    learning_rate: float | None = None,
    augment: Sequence[str] | None = None,
    balance: str | None = None,
    fair: str | None = None,
    fair_by: str | None = None,
    loss: str | None = None,
    objective: str | None = None,
    teacher: str | Path | None = None,
    optimizer: str | None = None,
    schedule: str | None = None,
    warmup: float | None = None,
    find_lr: bool = False,
    accumulate: int | None = None,
    clip_norm: float | None = None,
    ema: float | None = None,
    label_smoothing: float | None = None,
    dropout: float | None = None,
    drop_path: float | None = None,
    on_nan: str | None = None,
    patience: int | None = None,
    unfreeze: str | None = None,
    lora: int | None = None,
    soup: int | None = None,
    uncertainty: int | str | None = None,
    layer_decay: float | None = None,
    coverage: float = 0.9,
    unsure_rate: float = 0.05,
    unfamiliar_rate: float = 0.05,
    ood: str = 'auto',
    hold_out: Sequence[str] | None = None,
    aim: str | None = None,
    positive: str | None = None,
    risk: float | None = None,
    calibrator: str = 'auto',
    sets: str | None = None,
    time_limit: str | float | None = None,
    checkpoint_every: str | float = '60s',
    seed: int = 0,
    device: str = 'auto',
    precision: str = 'auto',
    memory_format: str = 'auto',
    strategy: str = 'auto',
    folds: int | None = None,
    seeds: int | None = None,
) -> Classifier:
    """Search for the options that a model learns best by, and leave the run of the best trial in the folder `out`."""

def verify(
    run: str | Path | Run,
    *,
    trust: Sequence[str | Path] = (),
    head: Sequence[str] = (),
) -> Signed | CheckedLog:
    """Read every file of a bundle and say its address and its signatures; nothing in it is executed."""
