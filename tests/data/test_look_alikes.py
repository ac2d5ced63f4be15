"""Images of different objects that look alike are no duplicates; copies of any of them are."""

import io
from itertools import pairwise

import numpy as np
import pytest
from material import smooth
from PIL import Image, ImageDraw, ImageEnhance

import linnaea
from linnaea.data.duplicates import grouping, sameness, verdicts
from linnaea.data.duplicates.grouping import duplicate_groups, thumbnail_of

SIDE, COUNT = 192, 6


def surface(seed, cells, spread):
    """A smooth field of grey levels around 0."""
    field = np.random.default_rng(seed).normal(0, spread, (cells, cells)).astype(np.float32)
    return np.asarray(Image.fromarray(field).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def as_picture(levels):
    return Image.fromarray(np.asarray(levels).clip(0, 255).astype(np.uint8)).convert("RGB")


def cell(random, number):
    """A solar cell: bars and shading in common, noise and scratches of its own."""
    image = as_picture(140 + np.linspace(-30, 30, SIDE) + random.normal(0, 4, (SIDE, SIDE)))
    draw = ImageDraw.Draw(image)
    for down in (40, 100, 160):
        draw.line((0, down, SIDE, down), fill=(30,) * 3, width=5)
    for across, down in random.integers(15, 160, (3, 2)).tolist():
        draw.line((across, down, across, down + 20), fill=(115,) * 3, width=2)
    return image


def product(random, number):
    """An object on the same cloth as all others, of nearly the same size and colour."""
    image = as_picture(140 + surface(0, 4, 25) + surface(1, 50, 6) + random.normal(0, 2.5, (SIDE, SIDE)))
    half = 20 + np.array([number % 3, -(number // 3)]) * 5
    draw = ImageDraw.Draw(image)
    draw.ellipse((*(SIDE // 2 - half), *(SIDE // 2 + half)), fill=(90, 80, 70))
    return image


def scan(random, number):
    """An aligned slice of a head: the same outline, other folds."""
    down, across = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    radius = (across / 0.75) ** 2 + (down / 0.9) ** 2
    levels = np.where(radius < 1, 190, 5) - np.where(radius < 0.85, 90 + surface(100 + number, 30, 9), 0)
    return as_picture(np.abs(levels + random.normal(0, 3, levels.shape)))


def tile(random, number):
    """A tile with the joints of all others and a grain of its own."""
    image = as_picture(170 + surface(200 + number, 60, 9) + random.normal(0, 2, (SIDE, SIDE)))
    draw = ImageDraw.Draw(image)
    for place in (0, 64, 128, 190):
        draw.line((place, 0, place, SIDE), fill=(60,) * 3, width=6)
        draw.line((0, place, SIDE, place), fill=(60,) * 3, width=6)
    return image


def field_of_view(random, number):
    """The bright circle of a microscope, with a few small cells elsewhere in each."""
    down, across = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    image = as_picture(np.where(np.hypot(down, across) < 0.95, 200 - 40 * np.hypot(down, across), 10))
    draw = ImageDraw.Draw(image)
    for across, down in random.integers(50, 140, (4, 2)).tolist():
        draw.ellipse((across, down, across + 6, down + 6), fill=(140,) * 3)
    return as_picture(np.asarray(image.convert("L")) + random.normal(0, 2.5, (SIDE, SIDE)))


def form(random, number):
    """A screen with other numbers in the same fields."""
    image = Image.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, SIDE, 40), fill=(30, 60, 120))
    for down in range(50, 180, 20):
        draw.text((10, down), "amount", fill=(60, 60, 60))
        draw.text((100, down), str(random.integers(10_000, 99_999)), fill=(0, 0, 0))
    return image


KINDS = (cell, product, scan, tile, field_of_view, form)


def saved(image, quality):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue())).convert("RGB")


COPIES = {
    "quality 50": lambda image: saved(image, 50),
    "quality 95": lambda image: saved(image, 95),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC),
    "twice the size": lambda image: image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC),
    "cropped": lambda image: image.crop((8, 5, image.width - 6, image.height - 9)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.9),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "all of it": lambda image: saved(COPIES["darker"](image.crop((4, 4, 180, 180)).resize((150, 150))), 80),
}  # fmt: skip


def groups_of(images):
    """A group per image; what is looked at is the image at its own size, as far as the sides allow."""

    def look(row):
        return sameness.at_own_size(images[row], "stretch")

    thumbnails = np.stack([thumbnail_of(image) for image in images])
    return duplicate_groups(thumbnails, [str(row) for row in range(len(images))], look)[0]


def drawn(kind, count=COUNT):
    random = np.random.default_rng(len(kind.__name__))
    return [kind(random, number) for number in range(count)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_different_objects_that_look_alike_are_no_duplicates(kind):
    images = drawn(kind)
    small = np.stack([thumbnail_of(image) for image in images])
    assert verdicts.Judge(small, [""] * COUNT, lambda row: None).alike([(0, 1), (1, 2), (0, 2)])  # when small they are
    assert len(set(groups_of(images).tolist())) == COUNT


@pytest.mark.parametrize("kind", [product, scan, form], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("change", COPIES)
def test_a_copy_among_look_alikes_is_found(kind, change):
    images = drawn(kind, 3)
    found = groups_of([*images, COPIES[change](images[1])])
    assert found[3] == found[1]
    assert len(set(found.tolist())) == 3


def test_a_scratch_is_a_difference_and_noise_is_not():
    random, part = np.random.default_rng(0), np.asarray(smooth(0, SIDE)).astype(float)
    scratched = as_scratched(part)
    shots = [Image.fromarray((picture + random.normal(0, 2, part.shape)).clip(0, 255).astype(np.uint8))
             for picture in (part, part, scratched, scratched)]  # fmt: skip
    found = groups_of(shots)
    assert found[0] == found[1] != found[2] == found[3]


def as_scratched(part):
    scratched = part.copy()
    for step in range(30):
        scratched[60 + step : 62 + step, 100 + step // 2 : 102 + step // 2] -= 30
    return scratched


def test_a_chain_is_cut_where_its_ends_differ():
    class Chain:
        finest = staticmethod(min)

        def same(self, pairs):
            return {(one, other): float(other - one) for one, other in pairs if other - one <= 2}

    groups = grouping._represented(dict.fromkeys(pairwise(range(7)), 1.0), 8, Chain()).tolist()
    assert groups == [0, 0, 0, 3, 3, 3, 6, 7]


def test_a_small_copy_that_many_may_be_the_same_as_does_not_join_them():
    images = drawn(cell, 5)
    small = images[1].resize((48, 48), Image.Resampling.BICUBIC)
    found = groups_of([*images, small])
    assert found[5] == found[1]
    assert len(set(found.tolist())) == 5


def test_look_alikes_are_split_one_by_one_and_audited_without_a_word(tmp_path):
    for number, image in enumerate(drawn(cell, 12)):
        place = tmp_path / ("good", "cracked")[number % 2] / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        image.save(place)
    named = {finding.name for finding in linnaea.audit(tmp_path, weights="none")}
    assert not named & {"duplicates", "duplicates_across_classes", "alike", "not_all_compared"}
    assert [len(linnaea.split(tmp_path).split(name)) for name in ("train", "val", "test")] == [8, 2, 2]


def trousers(number):
    """A garment of 28 pixels, the same from both sides: where so little is seen, many look like copies of another."""
    random = np.random.default_rng(number)
    width, gap, length = random.uniform(5, 6, 1), random.uniform(1.0, 2.0, 1), random.uniform(24, 26, 1)
    down, across = np.mgrid[0:28, -13.5:14.5]
    inside = (np.abs(across) < width + down * 0.08) & (down < length) & ((np.abs(across) > gap) | (down < 8))
    folds = Image.fromarray(random.normal(0, 14, (7, 7)).astype(np.float32)).resize((28, 28), Image.Resampling.BICUBIC)
    return as_picture(inside * (random.uniform(120, 220) + np.asarray(folds)))


@pytest.mark.slow
def test_small_look_alikes_are_told_from_copies_by_their_mirror_images():
    count, copied = 160, 12
    originals = [smooth(number, 28) for number in range(copied)]
    images = [*map(trousers, range(count)), *originals, *(COPIES["quality 95"](image) for image in originals)]
    groups = groups_of(images)
    assert (groups[count : count + copied] == groups[count + copied :]).mean() >= 0.9
    assert len(np.unique(groups[:count])) >= 0.9 * count


def test_without_mirror_images_they_would_not_be(monkeypatch):
    monkeypatch.setattr(grouping, "limit_of", lambda *_: sameness.MOST)
    assert len(np.unique(groups_of(list(map(trousers, range(160)))))) < 0.8 * 160
