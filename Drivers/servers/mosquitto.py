#!/usr/bin/env python3
"""mosquitto: messages that the broker retains. Model: map.

Needs Debian's mosquitto and python3-paho-mqtt. `config` has lines of mosquitto.conf, for example
{"autosave_on_changes": "true", "autosave_interval": 1}, which writes its file at each change.
"""

import sys

sys.path[0] += "/.."
from driving import Failed, Server, free_port, reply, serve, text

import os
import subprocess
import tempfile
import threading

import paho.mqtt.client as mqtt


class Driver:
    name = "mosquitto"
    version = subprocess.run(["mosquitto", "-h"], capture_output=True, text=True).stdout.split()[2]
    operations = ["put", "delete", "scan"]
    forks = True

    def open(self, request):
        port = free_port()
        lines = {"persistence": "true", "persistence_location": request["dir"] + "/", "allow_anonymous": "true"}
        lines |= {"listener": f"{port} 127.0.0.1", "user": "root"} | request["config"]
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            # JSON's true is True here; mosquitto wants it in small letters.
            file.write("".join(f"{name} {str(value).lower() if value is True else value}\n"
                               for name, value in lines.items()))
            file.flush()
            self.server = Server(["mosquitto", "-c", file.name])
            self.client = mqtt.Client()
            self.client.reconnect_delay_set(1, 1)
            self.server.wait_for(lambda: self.client.connect("127.0.0.1", port))
        self.client.loop_start()

    def put(self, request):
        message = self.client.publish("map/" + request["key"], request.get("value", ""), qos=1, retain=True)
        message.wait_for_publish(5)  # until PUBACK: less than the time limit of a request
        if not message.is_published():
            raise Failed("no PUBACK")

    delete = put  # An empty message removes what is retained.

    def scan(self, request):
        items, done = {}, threading.Event()

        def take(client, userdata, message):
            if message.topic == "end":
                done.set()
            elif message.retain:
                items[message.topic.removeprefix("map/")] = text(message.payload)

        self.client.on_message = take
        self.client.unsubscribe("#")
        self.client.subscribe("#", qos=1)  # The broker sends what it retains,
        self.client.publish("end", qos=1)  # and this message after it.
        if not done.wait(5):
            raise Failed("no answer to a subscription")
        reply(request, items=list(items.items()))

    def close(self, request):
        self.client.disconnect()
        self.client.loop_stop()
        self.server.stop()


serve(Driver(), OSError)
