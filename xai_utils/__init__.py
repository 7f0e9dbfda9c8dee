"""Look inside machine-learning models: the small library behind the course's notebooks.

Modules, each resting on the ones before it: `storage`; `datasets`, `simulate`, `overlaps`;
`models`, `training`; `scores`; `cam`, `gradients`; `plots`.  Importing the package imports none
of TensorFlow, Matplotlib or OpenCV; the functions that need them do.
"""

__version__ = "0.1.0"
