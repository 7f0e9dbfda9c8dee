"""Somebody at a JupyterHub: logs in by its form, starts a server, opens files, runs cells."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests
import websocket

PATIENCE = 120  # seconds for a server or a cell


@dataclass
class Answer:
    """What a cell printed, raised and showed."""

    text: str = ""
    error: str = ""
    pictures: int = 0
    died: bool = False


@dataclass
class Student:
    """One account at one hub."""

    url: str
    name: str
    password: str
    session: requests.Session = field(default_factory=requests.Session)

    def log_in(self) -> requests.Response:
        """By the form that a browser shows; then a token for this account's own server."""
        page = f"{self.url}/hub/login"
        self.session.get(page, timeout=30)
        form = {"username": self.name, "password": self.password, "_xsrf": self._xsrf()}
        answer = self.session.post(page, data=form, timeout=60, allow_redirects=False)
        if answer.status_code == 302:
            self.session.get(f"{self.url}/hub/home", timeout=30)
            made = self.hub("POST", f"users/{self.name}/tokens")
            made.raise_for_status()
            self.session.headers["Authorization"] = f"token {made.json()['token']}"
        return answer

    def _xsrf(self) -> str:
        return next((c.value or "" for c in self.session.cookies if c.name == "_xsrf"), "")

    def hub(self, method: str, path: str, **options: Any) -> requests.Response:
        """Ask the hub's own interface."""
        options = {"json": {}} | options if method == "POST" else options
        header = {"X-XSRFToken": self._xsrf()}
        return self.session.request(
            method, f"{self.url}/hub/api/{path}", headers=header, timeout=60, **options
        )

    def start(self) -> None:
        """Start the server and wait until it is ready."""
        self.hub("POST", f"users/{self.name}/server").raise_for_status()
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            server = self.hub("GET", f"users/{self.name}").json()["servers"].get("")
            if server and server["ready"]:
                return
            if not server:
                break
            time.sleep(0.3)
        raise AssertionError(f"{self.name}'s server did not start")

    def server(self, method: str, path: str, of: str = "", **options: Any) -> requests.Response:
        """Ask this student's server, or somebody else's."""
        where = f"{self.url}/user/{of or self.name}/{path}"
        options = {"timeout": PATIENCE, "allow_redirects": False} | options
        return self.session.request(method, where, **options)

    def opened(self, path: str) -> Any:
        """The content of a file in the student's home, as JupyterLab opens it."""
        answer = self.server("GET", f"api/contents/{quote(path)}")
        answer.raise_for_status()
        return answer.json()["content"]

    def saved(self, path: str, text: str) -> None:
        """Write a text file into the student's home."""
        file = {"type": "file", "format": "text", "content": text}
        self.server("PUT", f"api/contents/{quote(path)}", json=file).raise_for_status()

    def kernel(self, folder: str = "") -> Kernel:
        """A new kernel in a folder of the student's home."""
        made = self.server("POST", "api/kernels", json={"name": "python3", "path": folder})
        made.raise_for_status()
        return Kernel(self, made.json()["id"])


class Kernel:
    """A kernel of a student's server, spoken to through hub and proxy."""

    def __init__(self, owner: Student, identity: str) -> None:
        self.owner, self.identity = owner, identity
        self.connect()

    def connect(self) -> None:
        """Open the channels."""
        address = f"{self.owner.url}/user/{self.owner.name}/api/kernels/{self.identity}/channels"
        header = [f"Authorization: {self.owner.session.headers['Authorization']!s}"]
        self.socket = websocket.create_connection(
            address.replace("http", "ws", 1), header=header, timeout=PATIENCE
        )

    def run(self, code: str) -> Answer:
        """Run one cell and wait until the kernel is idle, or dead."""
        identity = uuid.uuid4().hex
        head = {"msg_id": identity, "msg_type": "execute_request", "username": "", "version": "5.4"}
        content = {"code": code, "silent": False, "store_history": True, "stop_on_error": True}
        message = {"header": head | {"session": "test", "date": ""}, "parent_header": {}}
        message |= {"metadata": {}, "content": content, "channel": "shell", "buffers": []}
        self.socket.send(json.dumps(message))
        answer = Answer()
        while True:
            received = self.socket.recv()
            if not isinstance(received, str):  # pictures of widgets come as bytes
                continue
            said = json.loads(received)
            kind, content = said["msg_type"], said["content"]
            if kind == "status" and content["execution_state"] in ("restarting", "dead"):
                answer.died = True
                return answer
            if said["parent_header"].get("msg_id") != identity:
                continue
            if kind == "stream":
                answer.text += content["text"]
            elif kind in ("display_data", "execute_result"):
                answer.pictures += "image/png" in content["data"]
                answer.text += content["data"].get("text/plain", "") * (kind == "execute_result")
            elif kind == "error":
                answer.error = f"{content['ename']}: {content['evalue']}"
            elif kind == "status" and content["execution_state"] == "idle":
                return answer
