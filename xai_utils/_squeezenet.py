"""SqueezeNet 1.1, which ``keras.applications`` does not have: a plain network for ImageNet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._quiet import import_tensorflow

if TYPE_CHECKING:
    import keras

FIRES = ((16, 64), (32, 128), (48, 192), (64, 256))  # squeezed to, expanded to twice; two of each


def squeezenet(n_classes: int = 1000) -> keras.Model:
    """SqueezeNet 1.1: 26 convolutions with bias and ReLU, no batch normalisation, no dense layer.

    ``conv0`` (64, 3x3, stride 2, valid), pooling, eight fire modules with pooling after the second
    and the fourth, ``conv25`` (1x1, one map a class), global average pooling, softmax.  A fire
    module squeezes by 1x1, then concatenates a 1x1 and a 3x3 expansion.  Convolutions are numbered
    in the order of computation, 1x1 before 3x3.  Input ``(N, 224, 224, 3)``: 1,235,496 parameters.

    Source: Iandola et al. 2016, "SqueezeNet", table 1; version 1.1 of the authors' repository.
    """
    import_tensorflow()
    from keras import Input, Model, layers

    numbers = iter(range(26))

    def conv(x: Any, maps: int, size: int, **named: Any) -> Any:
        return layers.Conv2D(maps, size, activation="relu", name=f"conv{next(numbers)}", **named)(x)

    x = inputs = Input((224, 224, 3), name="image")
    x = conv(x, 64, 3, strides=2)
    for k, (squeezed, expanded) in enumerate(FIRES):
        if k < 3:
            x = layers.MaxPooling2D(3, strides=2, name=f"pool{k}")(x)
        for _ in range(2):
            x = conv(x, squeezed, 1)
            both = [conv(x, expanded, 1), conv(x, expanded, 3, padding="same")]
            x = layers.Concatenate(name=f"{both[1]._keras_history.operation.name}_fire")(both)
    x = conv(x, n_classes, 1)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return Model(inputs, layers.Softmax(name="softmax")(x), name="squeezenet11")
