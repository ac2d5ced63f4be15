"""Other trainers on a frozen backbone; each function does its epochs and tells the accuracy after the last."""

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from benchmarks.peers import add_peer

EPOCHS = 20
NETWORK = "mobilenetv2_100"
SIZE, MEAN, STD = 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
RATE = 0.005
FASTAI = (
    "fastai==2.8.12",
    "fastcore==2.2.39",
    "fastprogress==1.0.3",
    "fastdownload==0.0.8",
    "plum-dispatch==2.10.1",
    "fasttransform==0.0.5",
    "beartype==0.23.1",
    "requests==2.34.2",
    "urllib3==2.8.0",
    "charset-normalizer==3.5.2",
    "certifi==2026.10.18",
)
TRAINER = (
    "transformers==5.23.0",
    "accelerate==1.15.0",
    "tokenizers==0.23.3",
    "regex==2026.11.15",
    "psutil==7.2.2",
)


@dataclass(frozen=True)
class Given:
    """A folder with class folders to learn from in `train`, and to be judged by in `judged`; and the weights."""

    folder: Path
    judged: str
    weights: Path


def versions() -> list[str]:
    """The peers and their versions, installed where they were not."""
    return [f"fastai {add_peer(*FASTAI)}", f"transformers {add_peer(*TRAINER)}"]


def fastai_epochs(given: Given, tuned: bool, epochs: int) -> float:
    """fit_one_cycle of a frozen vision_learner."""
    learner = _learner(given, tuned)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(epochs)
    return float(learner.recorder.values[-1][-1])


@cache
def _learner(given: Given, tuned: bool) -> Any:
    add_peer(*FASTAI)
    from fastai.callback.channelslast import ChannelsLast
    from fastai.vision.all import ImageDataLoaders, Normalize, Resize, accuracy, vision_learner

    loaders = ImageDataLoaders.from_folder(
        given.folder,
        train="train",
        valid=given.judged,
        item_tfms=Resize(SIZE),
        batch_tfms=Normalize.from_stats(MEAN, STD, cuda=False),
    )
    learner = vision_learner(loaders, NETWORK, pretrained=False, metrics=accuracy, train_bn=not tuned, pad_type="same")
    fill(learner.model[0].model, given.weights)
    learner.freeze()
    return learner.add_cb(ChannelsLast()) if tuned else learner


def trainer_epochs(given: Given, tuned: bool, epochs: int) -> float:
    """A Trainer on a timm network whose body takes no gradients."""
    add_peer(*TRAINER)
    import torch
    from transformers import Trainer, TrainingArguments

    model, train, judged = _parts(given, tuned)
    with tempfile.TemporaryDirectory() as place:
        settings = TrainingArguments(
            place,
            num_train_epochs=epochs,
            learning_rate=RATE,
            eval_strategy="epoch",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **(
                {"use_cpu": True, "bf16": True, "per_device_train_batch_size": 64, "dataloader_num_workers": 2}
                if tuned
                else {}
            ),
        )
        trainer = Trainer(
            model,
            settings,
            train_dataset=train,
            eval_dataset=judged,
            data_collator=lambda rows: {
                "pixel_values": torch.stack([row[0] for row in rows]),
                "labels": torch.tensor([row[1] for row in rows]),
            },
            compute_metrics=lambda found: {"accuracy": float((found[0].argmax(axis=1) == found[1]).mean())},
        )
        trainer.train()
    return float(next(row["eval_accuracy"] for row in reversed(trainer.state.log_history) if "eval_accuracy" in row))


def fill(body: Any, weights: Path) -> None:
    """Put the weights into a network of timm, all but those of a head of its own."""
    own = {name: value for name, value in load_file(weights).items() if not name.startswith("classifier")}
    missing, unexpected = body.load_state_dict(own, strict=False)
    if unexpected or any(not name.startswith("classifier") for name in missing):
        raise RuntimeError(f"the weights do not fit: {missing} are missing, {unexpected} unknown.")


@cache
def _parts(given: Given, tuned: bool) -> tuple[Any, Any, Any]:
    """The model, and the images to learn from and to be judged by."""
    import torch
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2
    from transformers import TimmWrapperConfig, TimmWrapperForImageClassification

    shape = v2.Compose(
        [
            v2.Resize(SIZE, interpolation=v2.InterpolationMode.BICUBIC),
            v2.CenterCrop(SIZE),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    train, judged = (ImageFolder(str(given.folder / name), shape) for name in ("train", given.judged))
    settings = TimmWrapperConfig(architecture=NETWORK, model_args={"pad_type": "same"}, num_labels=len(train.classes))
    model = TimmWrapperForImageClassification(settings)
    fill(model.timm_model, given.weights)
    for name, weight in model.named_parameters():
        weight.requires_grad = "classifier" in name
    return model.to(memory_format=torch.channels_last if tuned else torch.contiguous_format), train, judged
