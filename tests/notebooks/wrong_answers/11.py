"""Plausible wrong answers to the exercises of notebook 11, each with a part of its hint."""

WRONG = {
    "1": [
        (
            "have changed places",
            """
            alpha = gradient.mean(axis=(1, 2), keepdims=True)
            averaged = np.maximum(-(alpha * A).sum(axis=-1), 0)
            return averaged, np.maximum(-(gradient * A).sum(axis=-1), 0)
            """,
        ),
        (
            "speaks *for* the class",
            """
            alpha = gradient.mean(axis=(1, 2), keepdims=True)
            maps = (gradient * A).sum(axis=-1), (alpha * A).sum(axis=-1)
            return tuple(np.maximum(m, 0) for m in maps)
            """,
        ),
        (
            "holds values below zero",
            """
            alpha = gradient.mean(axis=(1, 2), keepdims=True)
            maps = (gradient * A).sum(axis=-1), (alpha * A).sum(axis=-1)
            return tuple(np.minimum(m, 0) for m in maps)
            """,
        ),
        (
            "nothing can outweigh",
            """
            alpha = gradient.mean(axis=(1, 2), keepdims=True)
            maps = np.maximum(-gradient, 0) * A, np.maximum(-alpha, 0) * A
            return tuple(m.sum(axis=-1) for m in maps)
            """,
        ),
        (
            "means over the plates, too",
            """
            alpha = gradient.mean(axis=(0, 1, 2))
            maps = (gradient * A).sum(axis=-1), (alpha * A).sum(axis=-1)
            return tuple(np.maximum(-m, 0) for m in maps)
            """,
        ),
        (
            "yours is the sum",
            """
            alpha = gradient.sum(axis=(1, 2), keepdims=True)
            maps = (gradient * A).sum(axis=-1), (alpha * A).sum(axis=-1)
            return tuple(np.maximum(-m, 0) for m in maps)
            """,
        ),
    ],
    "2": [
        (
            "just the class's bias",
            """
            total = cam.hires_cam(network, images, classes).sum(axis=(1, 2))
            return scores.logits(network, images)[np.arange(len(images)), classes] - total
            """,
        ),
        (
            "has the wrong sign",
            """
            total = cam.hires_cam(network, images, classes).sum(axis=(1, 2))
            bias = network.get_layer("logits").bias.numpy()[classes]
            return scores.logits(network, images)[np.arange(len(images)), classes] - total + bias
            """,
        ),
        (
            "CAM's map is averaged",
            """
            total = cam.hires_cam(network, images, classes).mean(axis=(1, 2))
            bias = network.get_layer("logits").bias.numpy()[classes]
            return scores.logits(network, images)[np.arange(len(images)), classes] - total - bias
            """,
        ),
        (
            "take the largest logit",
            """
            total = cam.hires_cam(network, images, classes).sum(axis=(1, 2))
            bias = network.get_layer("logits").bias.numpy()[classes]
            return scores.logits(network, images).max(axis=1) - total - bias
            """,
        ),
        (
            "the ReLU of Grad-CAM",
            """
            total = cam.grad_cam(network, images, classes).sum(axis=(1, 2))
            bias = network.get_layer("logits").bias.numpy()[classes]
            return scores.logits(network, images)[np.arange(len(images)), classes] - total - bias
            """,
        ),
        (
            "take everything from `network`",
            """
            total = cam.hires_cam(network, images, classes).sum(axis=(1, 2))
            bias = gap.get_layer("logits").bias.numpy()[classes]
            return scores.logits(network, images)[np.arange(len(images)), classes] - total - bias
            """,
        ),
    ],
}
