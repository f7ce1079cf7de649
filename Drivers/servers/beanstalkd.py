#!/usr/bin/env python3
"""beanstalkd. Model: queue.

Needs Debian's beanstalkd. `config`, with its default: {"arguments": "-f0"}, a sync for each write of the log. "-f50"
syncs at most every 50 ms, "-F" never; "-s65536" makes small files.
"""

import sys

sys.path[0] += "/.."
from driving import Failed, Server, free_port, run, serve, text

import socket


class Driver:
    name = "beanstalkd"
    version = run(["beanstalkd", "-v"]).split()[1]
    operations = ["append", "take"]
    forks = True

    def open(self, request):
        port = free_port()
        command = ["beanstalkd", "-b", request["dir"], "-l", "127.0.0.1", "-p", str(port)]
        self.server = Server(command + request["config"].get("arguments", "-f0").split())
        self.server.wait_for_port(port)
        self.connection = socket.create_connection(("127.0.0.1", port)).makefile("rwb")
        self.watched = "default"

    def append(self, request):
        self.call(f"use {request['log']}", "USING")
        self.call(f"put 0 0 60 {len(request['value'])}\r\n{request['value']}", "INSERTED")

    def take(self, request):
        if request["log"] != self.watched:
            self.call(f"watch {request['log']}", "WATCHING")
            self.call(f"ignore {self.watched}", "WATCHING")
            self.watched = request["log"]
        words = self.call("reserve-with-timeout 0", "RESERVED", "TIMED_OUT")
        if words[0] == "TIMED_OUT":
            return {"value": None}
        value = text(self.connection.read(int(words[2]) + 2)[:-2])
        self.call(f"delete {words[1]}", "DELETED")
        return {"value": value}

    def call(self, command, *expected):
        """Sends a command and returns the words of its answer. The first is one of those that are expected."""
        self.connection.write(command.encode() + b"\r\n")
        self.connection.flush()
        words = self.connection.readline().decode().split() or ["closed the connection"]
        if words[0] not in expected:
            raise Failed(f"{command.split()[0]}: {' '.join(words)}")
        return words

    def close(self, request):
        self.server.stop()


serve(Driver(), OSError)
