"""Images that were enlarged are told by their own spectrum, whatever the others are."""

import numpy as np
import pytest
from material import smooth
from PIL import Image, ImageFilter

import linnaea

CUBIC = Image.Resampling.BICUBIC


def photo(number, side=200):
    """A spectrum as photos have it, power falling with the square of the frequency, and some noise."""
    random = np.random.default_rng(number)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)) + 1 / side
    field = np.fft.ifft2(np.fft.fft2(random.normal(size=(side, side))) / frequency**1.2).real
    levels = 128 + 45 * field / field.std() + random.normal(0, 2, field.shape)
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8)).convert("RGB")


def enlarged(number, times):
    small = photo(number, round(200 / times))
    return small.resize((200, 200), CUBIC)


def found(folder, images, **options):
    for number, image in enumerate(images):
        place = folder / "ab"[number % 2] / f"{number:02}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        image.save(place, quality=92, **options)
    named = {finding.name: finding for finding in linnaea.audit(folder, weights="none", duplicates="exact")}
    return {row["path"] for row in named["enlarged"].rows} if "enlarged" in named else set()


@pytest.mark.parametrize("times", [2, 3])
def test_one_enlarged_picture_among_others_and_a_whole_set_of_them(tmp_path, times):
    assert found(tmp_path / "one", [photo(0), photo(1), enlarged(2, times), photo(3)]) == {"a/02.jpg"}
    assert len(found(tmp_path / "all", [enlarged(number, times) for number in range(6)])) == 6


def test_large_pictures_are_looked_at_in_full(tmp_path):
    large = [photo(number, 900) for number in range(3)]
    assert found(tmp_path, [*large, photo(3, 450).resize((900, 900), CUBIC)]) == {"b/03.jpg"}


def test_clean_small_smooth_and_empty_pictures_are_not_accused(tmp_path):
    pictures = [photo(number) for number in range(4)]
    pictures += [photo(5, 40), photo(6, 100), smooth(7, 200), smooth(8, 64), Image.new("RGB", (200, 200), "grey")]
    pictures += [photo(9).filter(ImageFilter.SHARPEN), photo(10).resize((120, 120), CUBIC)]
    assert found(tmp_path, pictures) == set()
