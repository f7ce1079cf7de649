"""What the drivers of this folder share: the loop of the driver protocol (docs/driver-protocol.md), and servers.

A driver is a class with one method for each operation that it offers. What a method returns are members of the reply.
Import this module before others: the drivers have the names of the modules that they need.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.pop(0)  # what the driver has put there to find this module
# Standard output belongs to the protocol. What a library or a server prints goes to the driver's log.
replies = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


class Failed(Exception):
    """The program under test has failed, in its own words."""


def text(value):
    """What the program serves, as the protocol wants it. Bytes that are no text are damage, and stay visible."""
    return value if isinstance(value, str) else value.decode(errors="backslashreplace")


def reply(request, **members):
    replies.write(json.dumps({"id": request["id"], **members}) + "\n")
    replies.flush()


def serve(driver, *failures):
    """Answers requests until standard input ends.

    `failures` are the exceptions with which the program reports that it has failed. Its reply has no `outcome`: it may
    have happened. Any other exception is the driver's own failure, and says nothing about the program.
    A driver with `forks` answers each `open`, and what follows up to `close`, in a child of its own.
    """
    forks = getattr(driver, "forks", False)
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        if request["op"] == "hello":
            about = {"name": driver.name, "version": driver.version, "ops": driver.operations}
            reply(request, ok=True, **about, **({"forks": True} if forks else {"reopens": True}))
        elif forks and request["op"] == "open":
            if (child := os.fork()) == 0:
                succeeded = answer(driver, request, failures)
                while succeeded and request["op"] != "close" and (line := sys.stdin.readline()):
                    request = json.loads(line)
                    answer(driver, request, failures)
                sys.exit()  # What it has started ends with it.
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if code != 0:
                replies.write(json.dumps({"died": f"signal {-code}" if code < 0 else f"exit {code}"}) + "\n")
                replies.flush()
        else:
            answer(driver, request, failures)


def answer(driver, request, failures):
    """Answers one request. Returns whether it succeeded."""
    operation = request["op"]
    try:
        if operation not in driver.operations + ["open", "close"]:
            raise NotImplementedError(operation)
        members = getattr(driver, operation)(request)
    except (Failed, *failures) as error:
        reply(request, ok=False, error=str(error) or repr(error))
    except Exception as error:
        reply(request, ok=False, outcome="driver", error=repr(error))
    else:
        reply(request, ok=True, **(members or {}))
        return True
    return False


def sync_names(folder):
    """Makes the names in a folder durable. What an operator has made long ago is."""
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Server:
    """A server in the foreground, as a child of the driver. It ends with the driver."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, **options)
        self.name = os.path.basename(command[0])
        atexit.register(self.stop, signal.SIGKILL)

    def wait_for(self, attempt, *not_yet):
        """Returns what `attempt` returns once it raises none of `not_yet`.

        Tornlog's time limit ends a server that never answers.
        """
        while self.process.poll() is None:
            try:
                return attempt()
            except (OSError, *not_yet):
                time.sleep(0.01)
        raise Failed(f"{self.name} ended with {self.process.returncode}")

    def wait_for_port(self, port):
        self.wait_for(lambda: socket.create_connection(("127.0.0.1", port)).close())

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait()


def run(command, **options):
    """Runs a tool of the program to its end. What it prints is in the error where it fails."""
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace",
                           **options)
    if ended.returncode != 0:
        raise Failed(f"{command[0]}: {(ended.stderr or ended.stdout).strip()[-400:]}")
    return ended.stdout
