"""nbgrader in a class on one server: where labs are handed out and in.  See jupyterhub_config.py.

Who may write the course folder, a lecturer, gets its settings too, and so its gradebook.
"""

import os
from pathlib import Path

CLASS = Path(os.environ.get("XAI_CLASS", "/srv/xai"))
LABS = CLASS / "labs"

c = get_config()  # noqa: F821  (nbgrader defines it before it reads this file)
c.Exchange.root = str(CLASS / "exchange")
c.CourseDirectory.course_id = "labs"
if os.access(LABS, os.W_OK) and (LABS / "nbgrader_config.py").exists():
    load_subconfig(str(LABS / "nbgrader_config.py"))  # noqa: F821
