"""The course's networks, built exactly as the articles describe them.

Layer names say where a layer stands (``conv4``, ``gap``, ``logits``), so a notebook never counts
layers.  All networks take images in [0, 1] and end in a softmax.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._quiet import import_tensorflow

if TYPE_CHECKING:
    import keras


def neu_cnn(n_classes: int = 6, size: int = 200) -> keras.Model:
    """The steel network that flattens: four convolutions, then two dense layers.

    3x3 `same` convolutions with ReLU (32, 64, 64, 64 maps), each followed by 2x2 max pooling,
    then Flatten, Dense 64, Dense ``n_classes``: 682,950 parameters, most of them (590k) between
    the flattened maps and the dense layer.  Input ``(N, size, size, 1)`` in [0, 1], output
    ``(N, n_classes)`` probabilities; ``conv4`` is 25x25x64.
    """
    import_tensorflow()
    from keras import Model, layers

    inputs, x = _trunk(size)
    x = layers.MaxPooling2D(name="pool4")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(64, activation="relu", name="dense")(x)
    x = layers.Dense(n_classes, name="logits")(x)
    return Model(inputs, layers.Softmax(name="softmax")(x), name="neu_cnn")


def neu_gap_cnn(n_classes: int = 6, size: int | None = 200) -> keras.Model:
    """The same trunk with global average pooling instead of Flatten and Dense.

    One weight per feature map and class is what class activation mapping needs (Zhou et al. 2016,
    eq. 1): the pooled maps are the means of ``conv4``.  93,062 parameters.
    """
    import_tensorflow()
    from keras import Model, layers

    inputs, x = _trunk(size)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    x = layers.Dense(n_classes, name="logits")(x)
    return Model(inputs, layers.Softmax(name="softmax")(x), name="neu_gap_cnn")


def _trunk(size: int | None) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    from keras import Input, layers

    x = inputs = Input((size, size, 1), name="image")
    for k, maps in enumerate((32, 64, 64, 64), start=1):
        if k > 1:
            x = layers.MaxPooling2D(name=f"pool{k - 1}")(x)
        x = layers.Conv2D(maps, 3, padding="same", activation="relu", name=f"conv{k}")(x)
    return inputs, x


def mnist_cnn() -> keras.Model:
    """The digit network: two convolutions and one fully connected layer.

    3x3 `same` convolutions with ReLU (32 and 64 maps), each followed by 2x2 max pooling, then
    Flatten and Dense 10.  Input ``(N, 28, 28, 1)`` in [0, 1], output ``(N, 10)`` probabilities.
    """
    import_tensorflow()
    from keras import Input, Model, layers

    x = inputs = Input((28, 28, 1), name="image")
    for k, maps in enumerate((32, 64), start=1):
        x = layers.Conv2D(maps, 3, padding="same", activation="relu", name=f"conv{k}")(x)
        x = layers.MaxPooling2D(name=f"pool{k}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(10, name="logits")(x)
    return Model(inputs, layers.Softmax(name="softmax")(x), name="mnist_cnn")
