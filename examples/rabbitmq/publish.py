#!/usr/bin/env python3
"""Publish one tagmill job with pika and wait until RabbitMQ has it.

    pip install pika
    python publish.py LANE KEY=VALUE RESOURCE...
    python publish.py alibaba-prod env=prod i-0001 i-0002

A resource that needs more than its id (Huawei Cloud: type and project) is written as JSON:

    python publish.py huawei-prod env=prod '{"id": "d-0001", "type": "disk", "project": "p-1"}'

The broker is AMQP_URL, by default guest on this machine. The exchange is made by `tagmill worker` or `tagmill submit`;
with a `prefix` in their config it is TAGMILL_EXCHANGE=<prefix>.jobs.
`tagmill schema job` describes every field. The id printed at the end is what `tagmill watch --job ID` follows.
"""

import json
import os
import sys
import time
import uuid

import pika


def main() -> int:
    if len(sys.argv) < 4 or "=" not in sys.argv[2]:
        print(__doc__, file=sys.stderr)
        return 2
    lane, tag, resources = sys.argv[1], sys.argv[2], sys.argv[3:]
    key, value = tag.split("=", 1)
    job = {
        "version": 1,
        # Your own id makes a second try harmless: a consumer of receipts and dead letters drops repeats by it.
        "id": str(uuid.uuid4()),
        "lane": lane,
        "set": {key: value},
        "resources": [json.loads(text) if text.startswith("{") else text for text in resources],
        "source": "publish.py",
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        # From here on basic_publish returns when the broker has the message on disk, and raises when it has not.
        channel.confirm_delivery()
        channel.basic_publish(
            exchange=os.environ.get("TAGMILL_EXCHANGE", "tagmill.jobs"),
            routing_key=lane,
            body=json.dumps(job),
            # A lane that nobody declared is no error: the job waits in tagmill.unrouted, and a worker answers it with a
            # dead letter. Mandatory catches the rest: an exchange without any queue behind it.
            mandatory=True,
            properties=pika.BasicProperties(
                content_type="application/json",
                delivery_mode=pika.DeliveryMode.Persistent,
                message_id=job["id"],
                timestamp=int(time.time()),
                # A job with "priority": "event" goes to the exchange tagmill.urgent, past bulk work; see docs/RABBITMQ.md.
            ),
        )
    except pika.exceptions.UnroutableError:
        print("no queue took the job: start a worker first", file=sys.stderr)
        return 1
    finally:
        connection.close()
    print(job["id"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
