"""A training that several processes, forked from this one, share: `python shared.py FOLDER JSON`, to be compared."""

import json
import os
import socket
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from linnaea.errors import LinnaeaError
from linnaea.learning.examples import Examples
from linnaea.learning.hooks import Hook
from linnaea.learning.job import Job, Options
from linnaea.learning.processes import joined
from linnaea.learning.recipe import TrainingRecipe
from linnaea.learning.schedule import Schedule
from linnaea.learning.supervised import train_network
from linnaea.models.model import Model
from linnaea.runtime.plan import Plan
from linnaea.runtime.ranks import place_in
from linnaea.task import TASKS


class Small(Model):
    """No normalisation; drops out where that is asked for."""

    def __init__(self, dropped=0.0):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Dropout(dropped))
        self.classifier = nn.Linear(6 * 49, 2)

    def features(self, pixels):
        return self.body(pixels)

    def head(self, features):
        return self.classifier(features)


class StopAfter(Hook):
    """Breaks off in all processes alike."""

    def __init__(self, epochs):
        self.epochs = epochs

    def after_epoch(self, state):
        if len(state.history) == self.epochs:
            raise LinnaeaError("stopped")


class Noise(Hook):
    """Writes down what each process draws."""

    def __init__(self, folder):
        self.folder = folder

    def after_step(self, state):
        model = state.model.train()
        torch.manual_seed(0)
        before = torch.get_rng_state()
        seen = model(torch.ones(1, 3, 16, 16)).detach()
        assert torch.equal(torch.get_rng_state(), before), "what is drawn alike stays alike"
        place = place_in()
        torch.save(seen, self.folder / f"noise {place.rank}.pt")


def examples(count, seed, unknown=False):
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 60, (count, 16, 16, 3), dtype=np.uint8)
    targets = generator.integers(0, 2, count)
    for image, target in zip(images, targets, strict=True):
        place = generator.integers(2, 13)
        view = image if target else image.transpose(1, 0, 2)
        view[place : place + 2] = 220
    return Examples(images, targets.astype(np.int64))


def train(folder, given):
    torch.manual_seed(0)
    model = Small(given.get("dropped", 0.0))
    kind = getattr(torch.optim, given.get("optimizer", "SGD"))
    optimizer = kind(model.parameters(), lr=0.05)
    recipe = TrainingRecipe(**given.get("recipe", {}))
    job = Job(examples(given.get("images", 51), 0), examples(30, 1), 2, TASKS["binary"], Options(recipe=recipe))
    job = replace(job, checkpoints=folder / "checkpoints")
    hooks = [StopAfter(given["stop"])] if "stop" in given else []
    hooks += [Noise(folder)] if given.get("noise") else []
    schedule = Schedule(4, given.get("batch", 17), given.get("rate", 0.05))
    augmentations = given.get("augmentations", ("shift", "flip", "mixup"))
    plan = Plan("cpu", memory_format="contiguous")
    said, history = "", []
    options = {"augmentations": augmentations, "label_smoothing": 0.1, "hooks": hooks}
    try:
        history = train_network(job, model, optimizer, schedule, plan, **options).history
    except LinnaeaError as error:
        said = str(error)
    weights = {name: value.tolist() for name, value in model.state_dict().items()}
    return {"said": said, "history": history, "weights": weights}


def be(rank, folder, given):
    if given["ranks"] > 1:
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(given["ranks"])}
    with joined(place_in(), "cpu", given.get("strategy", "ddp")) as party:
        if party is not None and rank:
            party.serve()
            return
        (folder / f"found {given['number']}.json").write_text(json.dumps(train(folder, given)))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for folder, given in json.loads(sys.argv[1]):
        Path(folder).mkdir(parents=True, exist_ok=True)
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "LINNAEA_RANK_TIMEOUT": "30s"}
        children = []
        for rank in range(given["ranks"]):
            child = os.fork()
            if not child:
                code = 1
                try:
                    be(rank, Path(folder), given)
                    code = 0
                except Exception:  # noqa: BLE001  it is told
                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(code)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        if any(codes):
            sys.exit(f"{given} ended with {codes}")
