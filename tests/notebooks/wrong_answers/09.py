"""Plausible wrong answers to the exercises of notebook 09, each with a part of its hint."""

MAPS = 'maps = backprop.lrp(reader, images, rule="gamma", gamma=gamma)\n'

WRONG = {
    "1": [
        ("share of *pixels*", MAPS + "return (maps < 0).mean()"),
        ("do not count", MAPS + "return (maps < 0).sum() / (maps != 0).sum()"),
        ("signed relevance", MAPS + "return np.maximum(-maps, 0).sum() / maps.sum()"),
        ("positive share", MAPS + "return np.maximum(maps, 0).sum() / np.abs(maps).sum()"),
        (
            "but the default",
            """
            maps = backprop.lrp(reader, images)
            return np.maximum(-maps, 0).sum() / np.abs(maps).sum()
            """,
        ),
    ],
    "2": [
        (
            "has lost its own biases",
            """
            network.set_weights([w if w.ndim > 1 else 0 * w for w in network.get_weights()])
            return network
            """,
        ),
        (
            "fresh random weights",
            "return keras.models.clone_model(network)",
        ),
        (
            "kernels are zero",
            """
            bare = keras.models.clone_model(network)
            bare.set_weights([0 * w if w.ndim > 1 else w for w in network.get_weights()])
            return bare
            """,
        ),
        (
            "has kept its bias",
            """
            bare = keras.models.clone_model(network)
            *weights, last = network.get_weights()
            bare.set_weights([*weights, 0 * last])
            return bare
            """,
        ),
    ],
}
