"""Look inside machine-learning models: the small library behind the course's notebooks.

Modules, each resting on the ones before it: `storage`; `datasets`, `simulate`, `overlaps`;
`models`, `imagenet`, `ground_truth`, `training`; `scores`; `gradients`, `backprop`, `perturbation`,
`cam`, `optimization`, `tabular`, `shapley`, `local_surrogates`, `prototypes`; `metrics`, `plots`,
`method_map`, `distributed`; `evaluation`, `scoreboard`, `live`; `figures`, `own_images`; and
`exercises`.
Importing the package imports none of TensorFlow, Matplotlib or OpenCV; the functions that need them
do.
"""

__version__ = "0.1.0"
