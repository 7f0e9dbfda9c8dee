"""Plausible wrong answers to the exercises of notebook 13, each with a part of its hint."""

WALK = """
image, length = photo, 0.1 / 255 * (high - low)
for steps in range(1, 1000):
    g = gradients.saliency(drawer.model, image, goal)
    image = np.clip(image + length * g / np.sqrt((g**2).mean()), low, high)
    if scores.logits(drawer.model, image)[0].argmax() == goal:
        return image, steps
"""

SEEN = """
found = activation_maximization(
    net.model, layer=name, channel=range(4), place="centre", pre_activation=True,
    start=start, bounded=False, value_range=ends(net), steps=1,
)
moved = np.abs(found.images - start) > 1e-6 * np.ptp(ends(net))
"""

WRONG = {
    "1": [
        ("is a share of the range", WALK.replace("0.1 / 255 * (high - low)", "0.1")),
        ("do you go up", WALK.replace("image + length", "image - length").replace("1000", "20")
         + "return image, steps"),
        ("the gradient's sign", WALK.replace("g / np.sqrt((g**2).mean())", "np.sign(g)")),
        ("ask the network after each", WALK.replace("if scores", "if steps % 50 == 0 and scores")),
    ],
    "2": [
        (
            "the mean of the whole map",
            SEEN.replace("centre", "mean")
            + "return np.ptp(np.flatnonzero(moved.any(axis=(0, 1, 3)))) + 1",
        ),
        ("an area", SEEN + "return moved.any(axis=(0, 3)).sum()"),
        ("always one too few", SEEN + "return np.ptp(np.flatnonzero(moved.any(axis=(0, 1, 3))))"),
    ],
}  # fmt: skip
