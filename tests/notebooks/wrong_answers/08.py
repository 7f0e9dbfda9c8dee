"""Plausible wrong answers to the exercises of notebook 08, each with a part of its hint."""

THREE_MAPS = """
maps = (
    perturbation.occlusion(model, images, targets, patch=1),
    gradients.input_x_gradient(model, images, targets)[..., 0],
    gradients.integrated_gradients(model, images, targets)[..., 0],
)
"""

WRONG = {
    "1": [
        (
            "over the whole page",
            THREE_MAPS + "return np.corrcoef([each.ravel() for each in maps])",
        ),
        (
            "the bare gradient",
            """
            ink = images[..., 0] > 0
            maps = (
                perturbation.occlusion(model, images, targets, patch=1),
                gradients.saliency(model, images, targets)[..., 0],
                gradients.integrated_gradients(model, images, targets)[..., 0],
            )
            return np.corrcoef([each[ink] for each in maps])
            """,
        ),
        (
            "mean of each digit's own correlations",
            THREE_MAPS
            + """
ink = images[..., 0] > 0
tables = [np.corrcoef([m[n][ink[n]] for m in maps]) for n in range(len(images))]
return np.mean(tables, axis=0)
""",
        ),
        (
            "one row for each map",
            THREE_MAPS
            + """
ink = images[..., 0] > 0
return np.corrcoef(np.stack([each[ink] for each in maps], axis=1))
""",
        ),
        (
            "a patch of one pixel",
            """
            ink = images[..., 0] > 0
            maps = (
                perturbation.occlusion(model, images, targets, patch=4, stride=2),
                gradients.input_x_gradient(model, images, targets)[..., 0],
                gradients.integrated_gradients(model, images, targets)[..., 0],
            )
            return np.corrcoef([each[ink] for each in maps])
            """,
        ),
    ],
    "2": [
        (
            "whatever else it might be",
            """
            shares = gradients.integrated_gradients(model, image, target, baseline=baseline)
            return shares[0, ..., 0]
            """,
        ),
        (
            "the sign is turned round",
            """
            of_target, of_other = (
                gradients.integrated_gradients(model, image, k, baseline=baseline)[0, ..., 0]
                for k in (target, other)
            )
            return of_other - of_target
            """,
        ),
        (
            "starts at the black page",
            """
            of_target = gradients.integrated_gradients(model, image, target)
            of_other = gradients.integrated_gradients(model, image, other)
            return (of_target - of_other)[0, ..., 0]
            """,
        ),
        (
            "keep the signs",
            """
            of_target, of_other = (
                np.abs(gradients.integrated_gradients(model, image, k, baseline=baseline))
                for k in (target, other)
            )
            return (of_target - of_other)[0, ..., 0]
            """,
        ),
        (
            "take the image's axis",
            """
            of_target = gradients.integrated_gradients(model, image, target, baseline=baseline)
            of_other = gradients.integrated_gradients(model, image, other, baseline=baseline)
            return of_target - of_other
            """,
        ),
        (
            "the map should sum to",
            """
            of_target, of_other = (
                gradients.integrated_gradients(
                    model, image, k, baseline=baseline, score="probability"
                )[0, ..., 0]
                for k in (target, other)
            )
            return of_target - of_other
            """,
        ),
    ],
    "3": [
        (
            "a residual below zero passes",
            """
            steps = 1
            while True:
                shares, residual = gradients.integrated_gradients(
                    model, image, target, baseline=baseline, steps=steps, return_residual=True
                )
                if residual[0] <= percent / 100 * (shares.sum() - residual[0]):
                    return steps
                steps *= 2
            """,
        ),
        (
            "in logits with per cent",
            """
            steps = 1
            while True:
                _, residual = gradients.integrated_gradients(
                    model, image, target, baseline=baseline, steps=steps, return_residual=True
                )
                if abs(residual[0]) <= percent:
                    return steps
                steps *= 2
            """,
        ),
        (
            "you divide by the score of the image",
            """
            score = scores.logits(model, image)[0, target]
            steps = 1
            while True:
                _, residual = gradients.integrated_gradients(
                    model, image, target, baseline=baseline, steps=steps, return_residual=True
                )
                if 100 * abs(residual[0] / score) <= percent:
                    return steps
                steps *= 2
            """,
        ),
        (
            "100 is missing",
            """
            steps = 1
            while True:
                shares, residual = gradients.integrated_gradients(
                    model, image, target, baseline=baseline, steps=steps, return_residual=True
                )
                if abs(residual[0]) <= percent * abs(shares.sum() - residual[0]):
                    return steps
                steps *= 2
            """,
        ),
        (
            "stop at the first number",
            """
            steps = 1
            while True:
                shares, residual = gradients.integrated_gradients(
                    model, image, target, baseline=baseline, steps=steps, return_residual=True
                )
                if 100 * abs(residual[0] / shares.sum()) <= percent:
                    return steps
                steps += 1
            """,
        ),
    ],
}
