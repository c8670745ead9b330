"""What is said where a program can't listen on its port: one line, the same for all of ours."""

from __future__ import annotations

import errno


def cannot_listen(host: str, port: int, error: OSError | OverflowError, *, holder: str, option: str = "--port") -> str:
    """Return why not, and what to do.

    Args:
        host: The address.
        port: The port.
        error: What came of the try.
        holder: Who is likely to have a port that is taken.
        option: By which another port is chosen.
    """
    line = f"can't listen on {host} port {port}: "
    if isinstance(error, OverflowError):
        return f"{line}it is not from 0 to 65535; choose another {option}"
    line += (error.strerror or str(error)).partition(" (")[0]
    if error.errno == errno.EADDRINUSE:
        line += f"; {holder} may have it (`lsof -i :{port}` tells)"
    return f"{line}; choose another {option}"
