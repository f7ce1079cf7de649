#!/usr/bin/env python3
"""NATS JetStream, a stream on files. Model: log.

Needs Debian's nats-server and nats-py (PyPI). `config` has options of the server's section `jetstream`, for example
{"sync_interval": "always"}.
"""

import sys

sys.path[0] += "/.."
from driving import Server, free_port, reply, run, serve, text

import asyncio
import json
import os

import nats
from nats.errors import Error


class Driver:
    name = "nats"
    version = run(["nats-server", "--version"]).split()[1].lstrip("v")
    operations = ["append", "scan"]
    forks = True

    def open(self, request):
        port = free_port()
        options = {"store_dir": os.path.join(request["dir"], "nats")} | request["config"]
        settings = {"listen": f"127.0.0.1:{port}", "jetstream": options}
        # The server reads JSON as its configuration. It reads it from a file only.
        reading, writing = os.pipe()
        os.write(writing, json.dumps(settings).encode())
        os.close(writing)
        self.server = Server(["nats-server", "-c", f"/dev/fd/{reading}"], pass_fds=[reading])
        os.close(reading)
        self.loop = asyncio.new_event_loop()
        self.server.wait_for_port(port)
        self.client = self.wait(nats.connect(f"nats://127.0.0.1:{port}", allow_reconnect=False, connect_timeout=5))
        self.stream = self.client.jetstream()
        for log in "ab":
            self.wait(self.stream.add_stream(name=log, subjects=[f"log.{log}"]))

    def wait(self, what):
        return self.loop.run_until_complete(what)

    def append(self, request):
        answer = self.wait(self.stream.publish(f"log.{request['log']}", request["value"].encode(), timeout=5))
        return {"position": answer.seq}

    def scan(self, request):
        state = self.wait(self.stream.stream_info(request["log"])).state
        for number in range(state.first_seq, state.last_seq + 1) if state.messages else []:
            message = self.wait(self.stream.get_msg(request["log"], number))
            reply(request, items=[[number, text(message.data)]])

    def close(self, request):
        self.wait(self.client.close())
        self.server.stop()


serve(Driver(), Error, OSError, asyncio.TimeoutError)
