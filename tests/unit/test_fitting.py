"""A photograph of other proportions than the network's input: what is shown, and what is said."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from xai_utils._fitting import FITS, fitted, told
from xai_utils._networks import Network
from xai_utils._photos import Photo
from xai_utils.own_images import explain, load_network

WIDE, TALL, SQUARE = (40, 100), (90, 30), (50, 50)


def photo(size: tuple[int, int]) -> Photo:
    """Left half black, right half white; the uppermost row red."""
    image = np.zeros((*size, 3), np.uint8)
    image[:, size[1] // 2 :] = 255
    image[0] = (255, 0, 0)
    return Photo("halves", image, "a test", boxes={"red": ((0.0, 0.0, 1.0, 0.1),)})


@pytest.mark.parametrize("fit", FITS)
def test_the_networks_own_proportions_are_left_alone(fit: str) -> None:
    whole = photo(SQUARE)
    assert fitted(whole, (20, 20), fit) is whole
    assert told(whole, (20, 20), fit) == ""


def test_the_middle_is_cropped_in_the_photos_own_pixels() -> None:
    wide, tall = (fitted(photo(size), (20, 20), "crop").image for size in (WIDE, TALL))
    np.testing.assert_array_equal(wide, photo(WIDE).image[:, 30:70])
    np.testing.assert_array_equal(tall, photo(TALL).image[30:60])
    oblong = fitted(photo(WIDE), (20, 40), "crop").image
    np.testing.assert_array_equal(oblong, photo(WIDE).image[:, 10:90])


def test_bands_of_the_mean_colour_leave_the_proportions() -> None:
    whole = photo(WIDE)
    shown = fitted(whole, (20, 20), "pad").image
    assert shown.shape == (20, 20, 3)
    mean = whole.image.mean(axis=(0, 1)).round()
    for band in (shown[:6], shown[14:]):
        assert (band == mean).all()
    assert shown[10, 2].max() == 0 and shown[10, 17].min() == 255
    assert shown[6, 2, 0] > 30 and shown[6, 2, 1] == 0, "the red row is not cut off"


def test_squeezing_is_what_the_network_does_to_any_picture(flat: Any) -> None:
    network = load_network(flat, scale="0-1")
    shown = fitted(photo(WIDE), network.size, "squeeze").image
    np.testing.assert_array_equal(shown, network.resized(photo(WIDE))[0])


def test_a_panorama_is_padded_without_filling_the_memory() -> None:
    shown = fitted(photo((10, 50_000)), (224, 224), "pad").image
    assert shown.shape == (224, 224, 3)
    assert fitted(photo((1, 5000)), (224, 224), "crop").image.shape == (1, 1, 3)


def test_boxes_of_the_whole_photo_do_not_stay() -> None:
    assert not fitted(photo(WIDE), (20, 20), "crop").boxes


@pytest.mark.parametrize(
    ("size", "fit", "words"),
    [
        (WIDE, "crop", "crop: only the middle of the photo, 40 x 40 of 100 x 40, was shown"),
        (WIDE, "pad", "bands of its mean colour fill 60% of the input. Or choose crop or squeeze."),
        (WIDE, "squeeze", "squeezed into 20 x 20: things look 2.5 times as narrow"),
        (TALL, "squeeze", "things look 3.0 times as flat"),
        ((50, 60), "squeeze", "1.2 times as narrow"),
    ],
)
def test_what_was_done_is_told(size: tuple[int, int], fit: str, words: str) -> None:
    assert words in told(photo(size), (20, 20), fit)


@pytest.mark.parametrize("fit", FITS)
def test_a_small_difference_is_not_worth_a_line(fit: str) -> None:
    assert told(photo((50, 59)), (20, 20), fit) == told(photo((59, 50)), (20, 20), fit) == ""


def test_another_way_lists_the_three() -> None:
    with pytest.raises(ValueError, match="no fit 'stretch'; known: crop, pad, squeeze"):
        fitted(photo(SQUARE), (20, 20), "stretch")


@pytest.fixture(scope="module")
def left() -> Network:
    """A network whose only logit is the brightness of the left column."""
    from networks import functional, layers

    kernel = np.zeros((4, 4))
    kernel[:, 0] = 1
    parts = [layers.Conv2D(1, 1, use_bias=False), layers.Flatten()]
    model = functional([*parts, layers.Dense(1, use_bias=False)], (4, 4, 1))
    model.set_weights([np.ones((1, 1, 1, 1)), kernel.reshape(-1, 1)])
    return load_network(model, scale="0-1")


def test_the_map_is_of_what_the_network_saw(left: Network) -> None:
    pixels = np.zeros((4, 8), np.uint8)
    pixels[:, 2:] = 255  # the middle is white, the whole is not
    cropped = explain(pixels, left, ["input_x_gradient"], fit="crop")
    squeezed = explain(pixels, left, ["input_x_gradient"])
    assert cropped.logit == pytest.approx(4)
    assert squeezed.logit < 1
    assert (cropped.picture == 255).all() and not (squeezed.picture == 255).all()
    assert cropped.maps["input_x_gradient"][:, 0] == pytest.approx(np.ones(4))
    assert cropped.fit.startswith("crop: ") and f"Fitted by {cropped.fit}" in cropped.words
    titles = [axes.get_title() for axes in squeezed.figure().axes]
    assert titles[0].startswith("array (fit: squeeze)\n")
    assert squeezed.fit.startswith("squeeze: "), "a model of one's own is shown the whole photo"


def test_an_imagenet_network_is_shown_the_middle(left: Network) -> None:
    found = explain(np.zeros((4, 8)), replace(left, imagenet=True), ["input_x_gradient"])
    assert found.fit.startswith("crop: ")


def test_keras_squeezes_unless_it_is_told_otherwise() -> None:
    """What the default for a model of one's own rests on."""
    from networks import keras

    options = inspect.signature(keras.utils.image_dataset_from_directory).parameters
    assert options["crop_to_aspect_ratio"].default is False
    assert options["pad_to_aspect_ratio"].default is False


def test_a_file_is_fitted_upright(left: Network, tmp_path: Path) -> None:
    picture = Image.new("RGB", (30, 10))
    exif = picture.getexif()
    exif[0x0112] = 6  # on its side
    picture.save(tmp_path / "side.jpg", exif=exif)
    found = explain(tmp_path / "side.jpg", left, ["input_x_gradient"], fit="crop")
    assert "10 x 10 of 10 x 30" in found.fit
