"""Consumes as the seed's pipeline does, from the body alone, and prints what it understood, a line each.

consumer.py <url> <queue> <count>
"""

import json
import sys

import pika

FIELDS = {
    "posts": ("platform", "content", "author_id"),
    "articles": ("platform", "content", "link", "author_id"),
    "repositories": ("name", "content", "link", "owner_id"),
}

url, queue, count = sys.argv[1:]
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.queue_declare(queue=queue, durable=True)
for method, _, body in channel.consume(queue):
    message = json.loads(body)
    understood = {"entry_id": message["entry_id"], "type": message["type"]}
    understood |= {name: message[name] for name in FIELDS[message["type"]]}
    print(json.dumps(understood), flush=True)
    channel.basic_ack(method.delivery_tag)
    if method.delivery_tag == int(count):
        break
connection.close()
