"""Images of one, of four and of many channels: grey, colours with alpha, bands of TIFF files."""

import io
import re

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from safetensors.torch import save_file

import linnaea
from linnaea.data.images.decoding import Bounds, decode, read_rgb
from linnaea.data.images.greys import recipe_for
from linnaea.data.images.opening import UnreadableError
from linnaea.data.images.pixels import usual_side
from linnaea.errors import DataError, UsageError
from linnaea.models.bodies import create_body
from linnaea.models.network import Network


def tiff(values, **how):
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="minisblack", **how)
    return file.getvalue()


def planted(folder, bands, telling, kind=np.uint8, count=30):
    """Two classes of noise that differ in one band alone."""
    random = np.random.default_rng(0)
    for name, level in (("low", 0.25), ("high", 0.75)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            values = random.uniform(0.2, 0.8, (16, 20, bands))
            values[..., telling] = random.uniform(level - 0.2, level + 0.2, (16, 20))
            whole = (values * np.iinfo(kind).max).astype(kind)
            (folder / name / f"{number}.tif").write_bytes(tiff(whole, planarconfig="contig"))
    return folder


@pytest.mark.parametrize("compression", [None, "deflate", "lzw"])
@pytest.mark.parametrize("layout", ["contig", "separate"])
def test_bands_are_decoded_as_tifffile_reads_them(layout, compression):
    values = np.random.default_rng(0).integers(0, 256, (12, 12, 5), dtype=np.uint8)
    given = values if layout == "contig" else np.moveaxis(values, 2, 0)
    content = tiff(given, planarconfig=layout, compression=compression)
    assert np.array_equal(decode(content, 12, bounds=Bounds(channels=5)), values)


def test_each_band_is_resized_as_an_image_of_grey():
    values = np.random.default_rng(1).integers(0, 256, (30, 50, 6), dtype=np.uint8)
    found = decode(tiff(values, planarconfig="contig"), 16, "crop", Bounds(channels=6))
    for band in range(6):
        file = io.BytesIO()
        Image.fromarray(values[..., band]).save(file, "PNG")
        assert np.array_equal(found[..., band], decode(file.getvalue(), 16, "crop")[..., 0])


def test_pages_of_grey_are_bands():
    values = np.random.default_rng(2).integers(0, 256, (7, 9, 9), dtype=np.uint8)
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="minisblack")
    assert np.array_equal(decode(file.getvalue(), 9, bounds=Bounds(channels=7)), np.moveaxis(values, 0, 2))


def test_four_pages_of_grey_are_bands_where_four_are_asked_for_and_else_the_first_counts():
    values = np.random.default_rng(4).integers(0, 256, (4, 9, 9), dtype=np.uint8)
    content = tiff(values)
    assert np.array_equal(decode(content, 9, bounds=Bounds(channels=4)), np.moveaxis(values, 0, 2))
    assert np.array_equal(decode(content, 9, bounds=Bounds(channels=1))[..., 0], values[0])
    five = decode(tiff(np.repeat(values[:1], 5, axis=0)), 9, bounds=Bounds(channels=4))
    assert five[0, 0].tolist() == [values[0, 0, 0]] * 3 + [255]


@pytest.mark.parametrize(("byteorder", "big"), [("<", False), ("<", True), (">", False)])  # Pillow: no (">", True)
def test_a_band_beside_colours_is_neither_alpha_nor_lost(byteorder, big):
    values = np.random.default_rng(5).integers(0, 256, (9, 9, 4), dtype=np.uint8)
    file = io.BytesIO()
    how = {"photometric": "rgb", "extrasamples": ["unspecified"], "bigtiff": big, "byteorder": byteorder}
    tifffile.imwrite(file, values, **how)
    assert np.array_equal(decode(file.getvalue(), 9, bounds=Bounds(channels=4)), values)
    with pytest.raises(UnreadableError, match="4 bands; expected 3: train with --channels 4"):
        decode(file.getvalue(), 9)


def test_where_there_are_no_data_bands_are_black_and_do_not_say_what_is_white(tmp_path):
    values = np.full((8, 8, 5), 4000, dtype=np.uint16)
    values[0, 0] = 65_535
    file = tmp_path / "one.tif"
    file.write_bytes(tiff(values, planarconfig="contig", extratags=[(42113, "s", 0, "65535", True)]))
    recipe = recipe_for([file], 8, channels=5)
    assert recipe.white == 4095
    pixels, _ = recipe.decode(file)
    assert pixels[0, 0].tolist() == [0] * 5
    assert pixels[1:].min() == round(4000 * 255 / 4095)


def test_sixteen_bits_are_scaled_by_white():
    values = np.full((8, 8, 5), 1023, dtype=np.uint16)
    values[..., 1] = 511
    found = decode(tiff(values, planarconfig="contig"), 8, bounds=Bounds(white=1023, channels=5))
    assert found[0, 0].tolist() == [255, 127, 255, 255, 255]


def test_grey_and_alpha_are_channels():
    picture = Image.new("RGBA", (8, 8), (200, 100, 50, 30))
    file = io.BytesIO()
    picture.save(file, "PNG")
    assert decode(file.getvalue(), 8, bounds=Bounds(channels=4))[0, 0].tolist() == [200, 100, 50, 30]
    file = io.BytesIO()
    picture.convert("RGB").save(file, "PNG")
    assert decode(file.getvalue(), 8, bounds=Bounds(channels=4))[0, 0].tolist() == [200, 100, 50, 255]
    assert decode(file.getvalue(), 8, bounds=Bounds(channels=1)).shape == (8, 8, 1)


def test_bands_that_nobody_asked_for_are_refused_and_shown_to_people():
    values = np.zeros((8, 8, 13), dtype=np.uint16)
    content = tiff(values, planarconfig="contig")
    with pytest.raises(UnreadableError, match="13 bands; expected 3: train with --channels 13"):
        decode(content, 8)
    assert read_rgb(content, 8).mode == "RGB"
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    with pytest.raises(UnreadableError, match="it is no TIFF"):
        decode(file.getvalue(), 8, bounds=Bounds(channels=5))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.zeros((8, 8, 5), np.float32), "no standard brightness"),
        (np.full((8, 8, 5), -1, np.int16), "no standard brightness"),
        (np.zeros((8, 8, 5), np.complex64), "whole numbers"),
        (np.full((8, 8, 5), 2**20, np.uint32), "no standard brightness"),
    ],
)
def test_bands_without_a_brightness_are_refused(values, why):
    with pytest.raises(UnreadableError, match=why):
        decode(tiff(values, planarconfig="contig"), 8, bounds=Bounds(channels=5))


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_truncated_file_of_bands_is_refused(compression):
    values = np.random.default_rng(3).integers(0, 256, (64, 64, 5), dtype=np.uint8)
    content = tiff(values, planarconfig="contig", compression=compression, rowsperstrip=8)
    with pytest.raises(UnreadableError):
        decode(content[: len(content) * 2 // 3], 8, bounds=Bounds(channels=5))


@pytest.mark.parametrize("model", ["compact", "lenet5", "textbook_cnn", "hog", "resnet10t", "squeezenet1_1"])
def test_a_network_learns_from_the_fifth_band(tmp_path, model):
    data = planted(tmp_path / "data", 6, 4, np.uint16)
    run = tmp_path / "run"
    trained = {} if model == "hog" else {"epochs": 6, "augment": ()}
    options = {"model": model, "weights": "none", "channels": 6, "img_size": 32, "precision": "float32"}
    classifier = linnaea.train(data, out=run, **options, **trained)
    (answer,) = linnaea.predict(run, [data / "low" / "0.tif"])
    assert answer["label"] in ("low", "high")
    assert classifier.recipe.channels == 6
    if model in ("hog", "compact", "textbook_cnn"):  # the others are slow to learn anything from so little
        assert linnaea.evaluate(run).figures["accuracy"].value >= 0.9
    wrong = tmp_path / "photo.png"
    Image.new("RGB", (16, 16)).save(wrong)
    (answer,) = linnaea.predict(run, [wrong])
    assert answer["reason"] == "unreadable"


def test_an_exported_file_answers_for_bands(tmp_path):
    data = planted(tmp_path / "data", 5, 2)
    run = tmp_path / "run"
    linnaea.train(data, out=run, model="textbook_cnn", channels=5, epochs=2, augment=(), precision="float32")
    exported = linnaea.export(run, to="onnx")
    assert exported.parity.severity == "info"
    held = linnaea.Run.open(run).record()["dataset"]["splits"]["test"]
    assert linnaea.evaluate(exported.file.parent, data=data).figures["accuracy"].n == held


def test_images_of_bands_are_audited_and_their_size_is_known(tmp_path):
    data = planted(tmp_path / "data", 5, 2, count=12)
    (data / "low" / "0.tif").write_bytes((data / "low" / "1.tif").read_bytes())
    found = {finding.name: finding for finding in linnaea.audit(data, channels=5)}
    assert "duplicates" in found
    assert not any("unreadable" in name for name in found)
    files = sorted(data.rglob("*.tif"))
    assert usual_side(files) == 16
    large = tmp_path / "large.tif"
    large.write_bytes(tiff(np.zeros((300, 400, 5), np.uint8), planarconfig="contig"))
    assert usual_side([large]) == 300


def test_grey_is_one_channel_and_pretrained_filters_see_it_as_before():
    network = Network("resnet10t", 2, 32)
    grey = network.seeing(1).eval()
    pixels = torch.rand(2, 1, 32, 32)
    assert np.allclose(
        grey.features(pixels).detach(), network.eval().features(pixels.expand(-1, 3, -1, -1)).detach(), atol=1e-6
    )


def test_filters_for_more_channels_answer_colours_in_their_size():
    network = Network("resnet10t", 2, 32).eval()
    six = network.seeing(6).eval()
    pixels = torch.rand(2, 3, 32, 32)
    assert torch.allclose(six.features(pixels.repeat(1, 2, 1, 1)), network.features(pixels), atol=1e-5)


def test_pretrained_filters_for_more_channels_are_spoken_of(tmp_path):
    path = tmp_path / "resnet.safetensors"
    save_file(create_body("test_resnet", 32, {}).state_dict(), path, metadata={"architecture": "test_resnet"})
    data, said = planted(tmp_path / "data", 5, 2, count=12), "for three colours and the images have 5 channels"
    classifier = linnaea.train(data, out=tmp_path / "run", model="frozen", weights=path, channels=5, img_size=32)
    assert any(said in note for note in classifier.provenance["notes"])


def test_a_network_that_reads_colours_in_two_places_is_refused():
    with pytest.raises(UsageError, match="crossvit_tiny_240 takes images of three channels alone, and these have 5"):
        Network.fitting("crossvit_tiny_240", 2, 240, channels=5)


def test_what_does_not_go_with_channels_is_refused(tmp_path):
    data = planted(tmp_path / "data", 5, 2, count=12)
    with pytest.raises(UsageError, match="channels is 0"):
        linnaea.train(data, channels=0)
    with pytest.raises(DataError, match="--channels 5"):
        linnaea.train(data, out=tmp_path / "colours", weights="none")
    with pytest.raises(UsageError, match="colour_jitter changes colours"):
        linnaea.train(data, out=tmp_path / "jitter", model="compact", channels=5, augment=["colour_jitter"])


def pages_of(folder, shape, count=4, **how):
    """Two classes of files of several grey pages, each as tifffile saves an array of this shape."""
    random = np.random.default_rng(0)
    for name in ("low", "high"):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            file = io.BytesIO()
            tifffile.imwrite(file, random.integers(0, 256, shape, dtype=np.uint8), **how)
            (folder / name / f"{number}.tif").write_bytes(file.getvalue())
    return folder


def warned(data, **asked):
    return {one.name: one.summary for one in linnaea.audit(data, **asked) if one.severity == "warning"}


@pytest.mark.parametrize(
    ("shape", "mend"),
    [
        ((6, 20, 20), "8 TIFF files have .*6 in all of them.* first page .* give --channels 6; else save the page"),
        ((3, 20, 20), "save them as one page of RGB"),
        ((20, 20, 6), "look like 6 bands saved the wrong way round.*contig.*give --channels 6"),
    ],
)
def test_pages_that_are_not_looked_at_are_warned_of(tmp_path, shape, mend):
    data = pages_of(tmp_path / "data", shape, photometric="minisblack")
    assert re.search(mend, warned(data, img_size=16)["first_page_only"])


def test_training_warns_of_pages_and_their_bands_are_no_reason_to_warn(tmp_path, caplog):
    data = pages_of(tmp_path / "data", (6, 20, 20), count=12, photometric="minisblack")
    assert "first_page_only" not in warned(data, img_size=16, channels=6)
    with caplog.at_level("WARNING", "linnaea"):
        linnaea.train(data, out=tmp_path / "run", model="majority", weights="none", img_size=16)
    assert "only the first page of each is used: if they are bands, give --channels 6" in caplog.text


def test_bands_saved_the_wrong_way_round_are_told_how_to_be_saved(tmp_path):
    values = np.zeros((20, 20, 6), np.uint8)
    with pytest.raises(UnreadableError, match=r"20 pages of 6 x 20 pixels.*minisblack.*contig"):
        decode(tiff(values), 16, bounds=Bounds(channels=6))
    with pytest.raises(UnreadableError, match=r"it has 1 band; expected 6$"):
        decode(tiff(values[..., 0]), 16, bounds=Bounds(channels=6))


def test_channels_that_only_a_tiff_can_have_are_refused_of_a_photo():
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    with pytest.raises(UnreadableError, match="only a TIFF can have 7 channels: train with --channels 1, 3 or 4"):
        decode(file.getvalue(), 8, bounds=Bounds(channels=7))
