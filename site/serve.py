"""Show the built site on this machine only, until Ctrl-C."""

from __future__ import annotations

import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGES = Path(__file__).resolve().parents[1] / "build" / "site"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def server(pages: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of these pages on loopback; port 0 takes a free one."""
    handler = functools.partial(Quiet, directory=str(pages))
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def main(port: str) -> None:
    """Serve until it is stopped."""
    if not (PAGES / "index.html").exists():
        sys.exit("There is no site yet: run `make course`, or `make site` to execute nothing.")
    if not port.isdecimal() or not 0 <= int(port) < 65536:
        sys.exit(f"PORT={port} is no port; expected a number such as 8000")
    try:
        serving = server(PAGES, int(port))
    except OSError as error:
        sys.exit(f"Port {port} cannot be used ({error.strerror}); try: make serve PORT=8001")
    with serving:
        print(f"The site is at http://127.0.0.1:{serving.server_port}/ (Ctrl-C stops)", flush=True)
        serving.serve_forever()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        print()
