"""DeepLIFT's rescale rule, image and baseline in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _reverse, scores

if TYPE_CHECKING:
    import keras


def deep_lift(model: keras.Model, x: Any, target: Any, baseline: Any) -> Any:
    """The step of the engine: images and baselines go through the network as one batch."""
    import tensorflow as tf

    both = tf.concat([x, baseline], axis=0)
    logits, steps = _reverse.forward(model, both)

    def rule(step: _reverse.Step, m: Any) -> list[Any]:
        if step.activation:
            dz, dy = _difference(step.z), _difference(step.output)
            at_x = tf.split(_reverse.slope(step), 2)[0]
            m *= tf.where(dz == 0, at_x, tf.math.divide_no_nan(dy, dz))
        if step.role == "max":
            return [_maximum(step, m)]
        return _reverse.pull_at(step, [tf.split(t, 2)[0] for t in step.inputs], m)

    one = tf.one_hot(scores.chosen(tf.split(logits, 2)[0], target), logits.shape[1])
    shares = (x - baseline) * _reverse.backward(steps, {id(logits): one}, both, rule)
    return scores.sound(shares, *tf.split(logits, 2))


def _maximum(step: _reverse.Step, m: Any) -> Any:
    """The multipliers of max pooling: rises go to the image's winners, falls to the baseline's."""
    import tensorflow as tf

    dx, dy = _difference(step.inputs[0]), _difference(step.z)
    rise_and_fall = tf.concat([m * tf.nn.relu(dy), m * -tf.nn.relu(-dy)], axis=0)
    received = tf.add_n(tf.split(_reverse.pull(step, rise_and_fall)[0], 2))
    gradient = tf.split(_reverse.pull(step, tf.concat([m, tf.zeros_like(m)], axis=0))[0], 2)[0]
    return tf.where(dx == 0, gradient, tf.math.divide_no_nan(received, dx))


def _difference(both: Any) -> Any:
    """Image minus baseline, of a batch that holds first the ones and then the others."""
    import tensorflow as tf

    of_image, of_baseline = tf.split(both, 2)
    return of_image - of_baseline
