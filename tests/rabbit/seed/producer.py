"""Publishes as the seed's capture does: a connection, a declaration and a confirm for each change.

producer.py <url> <queue> <count>
"""

import json
import sys
from datetime import datetime, timezone

import pika
from bson import ObjectId, json_util

url, queue, count = sys.argv[1:]
for number in range(int(count)):
    document = {
        "_id": ObjectId(f"{number:024x}"),
        "platform": "medium",
        "content": {"Title": f"Title {number}", "Content": "Text with ünïcode."},
        "link": f"https://example.org/{number}",
        "author_id": ObjectId("65f0a1b2c3d4e5f6a7b8c9d1"),
        "published_at": datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=timezone.utc),
    }
    document["entry_id"] = str(document.pop("_id"))
    document["type"] = "articles"
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.queue_declare(queue=queue, durable=True)
    channel.confirm_delivery()
    channel.basic_publish(
        exchange="",
        routing_key=queue,
        body=json.dumps(document, default=json_util.default),
        properties=pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent),
        mandatory=True,
    )
    connection.close()
