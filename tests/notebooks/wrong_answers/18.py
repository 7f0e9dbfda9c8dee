"""Plausible wrong repairs of the programs of notebook 18, each with a part of its hint."""

EXAM_HEAD = """
A, gradient = read(images, classes, "logit")
alpha = gradient.mean(axis=(1, 2), keepdims=True)
maps = []
for heat in np.maximum((alpha * A).sum(axis=-1), 0):
"""
EXAM_BILINEAR = """
    large = cv2.resize(heat, (200, 200), interpolation=cv2.INTER_LINEAR)
    maps.append(large / max(large.max(), 1e-30))
"""
EXAM_COVERED = """
    large = cv2.resize(heat, (200, 200), interpolation=cv2.INTER_LINEAR)
    maps.append((large - large.min()) / (np.ptp(large) + 1e-30))
"""
EXAM_INVENTED = """
    large = cv2.resize(heat, (200, 200), interpolation=cv2.INTER_CUBIC)
    maps.append(large / max(large.max(), 1e-30))
"""
EXAM_CUBIC = """
    large = cv2.resize(heat, (200, 200), interpolation=cv2.INTER_CUBIC)
    maps.append((large - large.min()) / (np.ptp(large) + 1e-30))
"""

WRONG = {
    "1": [
        ("JET backwards", "return cv2.applyColorMap(255 - levels, colour_map)"),
        ("stands on its head", "return cv2.applyColorMap(levels, colour_map)[::-1, :, ::-1]"),
        ("another shape", "return cv2.applyColorMap(levels, colour_map)[..., 0]"),
        (
            "`colour_map` is not used",
            "return cv2.applyColorMap(levels, cv2.COLORMAP_JET)[..., ::-1]",
        ),
    ],
    "2": [
        ("the sign is lost too early", "return np.maximum((np.abs(alpha) * A).sum(axis=-1), 0)"),
        ("set off against each other first", "return np.maximum(alpha * A, 0).sum(axis=-1)"),
        (
            "something was shifted",
            """
            heat = (alpha * A).sum(axis=-1)
            return heat - heat.min()
            """,
        ),
    ],
    "3": [
        ("cutting off at 255", "mixed = np.clip(alpha * colours + picture, 0, 255)"),
        ("under a veil", "mixed = (1 - alpha) * picture + alpha * colours"),
        (
            "`alpha` is not used",
            "mixed = (1 - heat[..., None]) * picture + heat[..., None] * colours",
        ),
        (
            "lost 40 % of its light",
            "mixed = (1 - alpha) * picture + alpha * heat[..., None] * colours",
        ),
    ],
    "4": [
        (
            "passes in silence",
            """
            heat = np.maximum(heat, 0)
            return heat / (heat.max() + 1e-8)
            """,
        ),
        ("sets the scale", "return (heat - heat.min()) / (heat.max() - heat.min() + 1e-8)"),
        (
            "NaN or infinite values pass",
            """
            heat = np.maximum(np.nan_to_num(heat), 0)
            if not heat.any():
                warnings.warn("empty")
                return heat
            return heat / heat.max()
            """,
        ),
        (
            "a result, not an error",
            """
            heat = np.maximum(heat, 0)
            if not heat.max() > 0:
                raise ValueError("no map")
            return heat / heat.max()
            """,
        ),
    ],
    "5": [
        ("belong to three classes and to one feature", "phi = values[sample][target]"),
        ("the mean over all samples", "phi = values[..., target].mean(axis=0)"),
        ("do not sum to the score", "phi = np.abs(values[sample, :, target])"),
    ],
    "6": [
        ("as if all spoke for it", "return np.abs(shares).sum(axis=-1)"),
        ("the shares of the others are lost", "return shares.max(axis=-1)"),
        ("lengths do not add up", "return np.linalg.norm(shares, axis=-1)"),
    ],
    "7": [
        ("leaves the rule wrong", "alpha = np.linspace(0, 1, 40 * steps)"),
        ("the other end is missing", "alpha = np.linspace(0, 1, steps, endpoint=False)"),
        (
            "do not sum to 1",
            """
            alpha = (np.arange(steps) + 0.5) / steps
            return (x - baseline) * gradient(
                baseline + alpha.reshape(-1, *[1] * x.ndim) * (x - baseline)
            ).sum(axis=0) / (steps + 1)
            """,
        ),
    ],
    "8": [
        (
            "smaller than the others",
            "rows, columns = range(0, height, stride), range(0, width, stride)",
        ),
        (
            "the right edge still is not",
            """
            rows = [*range(0, height - patch, stride), height - patch]
            columns = range(0, width - patch + 1, stride)
            """,
        ),
        (
            "filled in without asking",
            """
            found = np.full(image.shape, (score(image[None]) - score(0 * image[None]))[0])
            return found * patch**2 / image.size
            """,
        ),
    ],
    "9": [
        (
            "only its sign is gone",
            "return np.abs(cv2.resize(heat, size[::-1], interpolation=cv2.INTER_CUBIC))",
        ),
        (
            "at the other end as well",
            "return np.maximum(cv2.resize(heat, size[::-1], interpolation=cv2.INTER_CUBIC), 0)",
        ),
        (
            "the whole map was shifted",
            """
            large = cv2.resize(heat, size[::-1], interpolation=cv2.INTER_CUBIC)
            return (large - large.min()) / (large.max() - large.min())
            """,
        ),
    ],
    "10": [
        ("the logarithm of p", "score = tf.math.log(digit_model(x)[:, target])"),
        ("the old map times a factor", "score = 1e6 * digit_model(x)[:, target]"),
        ("not that of the score", "score = tf.reduce_sum(to_logits(x), axis=1)"),
    ],
    "11": [
        ("is there a cut", "alpha = np.maximum(gradient, 0).mean(axis=(0, 1))"),
        ("where the activation is zero", "alpha = (gradient * (A > 0)).mean(axis=(0, 1))"),
        (
            "up to a factor",
            "alpha = gradient.max(axis=(0, 1)) * np.arange(A.shape[-1])",
        ),
        ("that is HiResCAM", "alpha = gradient"),
    ],
    "12": [
        (
            "whole notebook are set back",
            """
            np.random.seed(seed)
            shown = np.random.randint(0, 2, (samples, count))
            """,
        ),
        (
            "every seed gives the same",
            "shown = np.random.default_rng(0).integers(0, 2, (samples, count))",
        ),
        (
            "make chance smaller",
            """
            samples = 200 * samples
            shown = np.random.randint(0, 2, (samples, count))
            """,
        ),
    ],
    "13": [
        (
            "does not fit into the memory",
            """
            g = gradient(baseline + alpha * (x - baseline))
            mean += (g[:-1] + g[1:]).sum(axis=0) / (2 * steps)
            """,
        ),
        (
            "a factor makes the total complete",
            """
            for start in range(0, steps + 1, batch):
                g = gradient(baseline + alpha[start : start + batch] * (x - baseline))
                mean += (g[:-1] + g[1:]).sum(axis=0) / (2 * steps)
            rise = np.trapezoid(
                [((x - baseline) * gradient((a * (x - baseline))[None])).sum() for a in alpha],
                alpha.ravel(),
            )
            mean = mean * rise / max(((x - baseline) * mean).sum(), 1e-30)
            """,
        ),
        (
            "range() arg 3",
            """
            for start in range(0, steps, batch - 1):
                g = gradient(baseline + alpha[start : start + batch] * (x - baseline))
                mean += (g[:-1] + g[1:]).sum(axis=0) / (2 * steps)
            """,
        ),
    ],
    "14": [
        (
            "lost its softmax",
            """
            model.layers[-1].activation = None
            return model(x).numpy()
            """,
        ),
        ("logarithms of probabilities", "return np.log(model.predict(x, verbose=0))"),
        (
            "plus its bias",
            """
            before = keras.Model(model.inputs[0], model.layers[-1].input)
            return before(x).numpy() @ model.layers[-1].get_weights()[0]
            """,
        ),
    ],
    "15": [
        (
            "as long as one row is right",
            "return bool(np.max(np.abs(base + values.sum(axis=1) - outputs) < 1e-6))",
        ),
        (
            "how large must an error be",
            "return bool(np.max(np.abs(base + values.sum(axis=1) - outputs)) < 1e6)",
        ),
        (
            "where does the sign go",
            "return bool(np.max(base + values.sum(axis=1) - outputs) < 1e-6)",
        ),
        (
            "cancel out",
            "return bool(abs(np.sum(base + values.sum(axis=1) - outputs)) < 1e-6)",
        ),
        (
            "would be praised",
            "return bool(np.nanmax(np.abs(base + values.sum(axis=1) - outputs)) < 1e-6)",
        ),
        (
            "0.001 too much in one row passes",
            "return bool(np.max(np.abs(base + values.sum(axis=1) - outputs)) < 0.0999)",
        ),
        (
            "has an `rtol` of its own",
            "return bool(np.allclose(base + values.sum(axis=1), outputs, atol=1e-6))",
        ),
    ],
    "16": [
        (
            "2 of 3 questions answered: the maps are not those",
            EXAM_HEAD.replace("logit", "probability") + EXAM_BILINEAR,
        ),
        (
            "2 of 3 questions answered: a plate that is explained alone",
            EXAM_HEAD.replace("(1, 2), keepdims=True", "(0, 1, 2)") + EXAM_BILINEAR,
        ),
        (
            "2 of 3 questions answered: where nothing is active",
            EXAM_HEAD + EXAM_CUBIC,
        ),
        ("2 of 3 questions answered: a map goes down to -0", EXAM_HEAD + EXAM_INVENTED),
        (
            "2 of 3 questions answered: on a plate where every cell speaks",
            EXAM_HEAD + EXAM_COVERED,
        ),
        (
            "1 of 3 questions answered: where nothing is active",
            EXAM_HEAD.replace("logit", "probability") + EXAM_CUBIC,
        ),
    ],
}
