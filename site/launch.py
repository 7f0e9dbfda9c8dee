"""Buttons that open a notebook on Colab, Binder or a JupyterHub, from one setting in conf.py."""

from __future__ import annotations

from typing import Any


def options(launch: dict[str, str]) -> dict[str, Any]:
    """What the theme wants for the buttons; nothing while no repository is named."""
    if not launch.get("repository"):
        return {}
    buttons = {
        "notebook_interface": "jupyterlab",
        "colab_url": launch.get("colab", ""),
        "binderhub_url": launch.get("binder", ""),
        "jupyterhub_url": launch.get("jupyterhub", ""),
    }
    return {
        "repository_url": launch["repository"],
        "repository_branch": launch.get("branch") or "main",
        "use_repository_button": True,
        "launch_buttons": {name: value for name, value in buttons.items() if value},
    }


def configure(app: Any, config: Any) -> None:
    """Add the buttons to the theme's options (`config-inited`)."""
    config.html_theme_options = config.html_theme_options | options(config.launch)


def setup(app: Any) -> dict[str, bool]:
    """Register the setting; the signature is Sphinx's."""
    app.add_config_value("launch", {}, "html")
    app.connect("config-inited", configure, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
