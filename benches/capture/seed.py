"""The seed's way: for every event a connection, a declaration, and one publish that is confirmed.

    seed.py <source url> <database> <seconds> <queue url> <events>

Reads the database's changes from a second of the log on and prints how many events a second it
carried, from the first event in hand to the last confirm.
"""

import json
import sys
import time

import pika
from bson import json_util
from bson.timestamp import Timestamp
from pymongo import MongoClient

QUEUE = "seed"


def publish(url, body):
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.queue_declare(queue=QUEUE, durable=True)
    channel.confirm_delivery()
    channel.basic_publish(
        exchange="",
        routing_key=QUEUE,
        body=body,
        properties=pika.BasicProperties(delivery_mode=2),
    )
    connection.close()


def main():
    source, database, seconds, queue, events = sys.argv[1:]
    start = Timestamp(int(seconds), 1)
    stream = MongoClient(source)[database].watch(
        [{"$match": {"operationType": {"$in": ["insert"]}}}], start_at_operation_time=start
    )
    begun = None
    for _ in range(int(events)):
        event = next(stream)
        begun = begun or time.perf_counter()
        document = event["fullDocument"]
        document["entry_id"] = str(document.pop("_id"))
        document["type"] = event["ns"]["coll"]
        publish(queue, json.dumps(document, default=json_util.default))
    print(int(events) / (time.perf_counter() - begun))


main()
