"""A Prefect server on a socket that the parent has opened; run by `server_process`, not by hand.

    python -m flows.terminal.server_program SOCKET PARENT    # two numbers

It does what `prefect server start` does, in two thirds of the time: the command line of Prefect is
not imported, and the garbage collector does not search what is being imported, all of which stays.
"""

from __future__ import annotations

import gc
import os
import socket
import sys

from flows.terminal.processes import end_with_parent

# How long requests may take that are under way when the server is stopped. It then writes down
# what it was sent; without this limit it would wait for every client to close its connection.
_LAST_REQUESTS_S = 3


def main(listener: socket.socket) -> None:
    """Serve until SIGTERM."""
    gc.disable()
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    app = create_app(final=True)
    gc.freeze()
    gc.enable()
    settings = get_current_settings().server
    config = uvicorn.Config(
        app,
        timeout_keep_alive=settings.api.keepalive_timeout,
        timeout_graceful_shutdown=_LAST_REQUESTS_S,
        log_level=settings.logging_level.lower(),
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    opened, parent = (int(number) for number in sys.argv[1:])
    end_with_parent()
    if os.getppid() != parent:  # it died before we had asked for the signal
        raise SystemExit
    main(socket.socket(fileno=opened))
