#!/usr/bin/env python3
"""RabbitMQ with publisher confirms. Model: queue, with redelivery: nothing confirms an acknowledgement of a consumer.

Needs Debian's rabbitmq-server and python3-pika. `config`, with its default: {"type": "classic"}; "quorum" is the other.
"""

import sys

sys.path[0] += "/.."
from driving import Server, free_port, run, serve, sync_names, text

import os

import pika
from pika.exceptions import AMQPError


class Driver:
    name = "rabbitmq"
    version = run(["dpkg-query", "-f${Version}", "-W", "rabbitmq-server"]).split("-")[0]
    operations = ["append", "take"]
    forks = True

    def open(self, request):
        folder, port = os.path.join(request["dir"], "rabbit"), free_port()
        os.makedirs(folder, exist_ok=True)
        sync_names(request["dir"])
        # Everything that belongs to this broker only: its ports, its name server, its logs.
        environment = os.environ | {
            "HOME": folder, "RABBITMQ_MNESIA_BASE": folder, "RABBITMQ_MNESIA_DIR": f"{folder}/mnesia",
            "RABBITMQ_LOGS": "-", "ERL_CRASH_DUMP_SECONDS": "0",
            "RABBITMQ_NODENAME": "rabbit@localhost", "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins", "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_PID_FILE": f"{folder}/pid", "ERL_CRASH_DUMP_SECONDS": "0",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-setcookie tornlog +S 1:1 +sbwt none -start_epmd false"}
        # The name server of Erlang. Nobody else starts it, so that it does not outlive the driver.
        self.names = Server(["epmd"], env=environment)
        self.server = Server(["/usr/lib/rabbitmq/bin/rabbitmq-server"], env=environment, cwd=folder)
        parameters = pika.ConnectionParameters("127.0.0.1", port, heartbeat=0)
        self.server.wait_for_port(port)
        self.connection = pika.BlockingConnection(parameters)
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        for log in "ab":
            self.channel.queue_declare(
                log, durable=True, arguments={"x-queue-type": request["config"].get("type", "classic")})

    def append(self, request):
        persistent = pika.BasicProperties(delivery_mode=2)
        # Returns when the broker has confirmed it.
        self.channel.basic_publish("", request["log"], request["value"].encode(), persistent, mandatory=True)

    def take(self, request):
        method, _, body = self.channel.basic_get(request["log"])
        if method is None:
            return {"value": None}
        self.channel.basic_ack(method.delivery_tag)
        return {"value": text(body)}

    def close(self, request):
        self.connection.close()
        self.server.stop()
        self.names.stop()


serve(Driver(), AMQPError, OSError)
