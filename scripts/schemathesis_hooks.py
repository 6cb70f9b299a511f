"""What schemathesis cannot know of the HTTP API: which links there are, and that a range begins before its end."""

from datetime import datetime

import schemathesis
from hypothesis import strategies

# Hosts that nobody has, and one that is refused before it is asked: a crawl of each fails at once.
schemathesis.openapi.format(
    "iri",
    strategies.sampled_from(
        [
            "http://127.0.0.1:9/",
            "https://nobody.invalid/a",
            "https://nobody.invalid/%C3%BC?a=b#c",
            "http://[::1]:9/x.git",
        ]
    ),
)


def _in_order(values):
    """Both ends of a range, the earlier one first; what is no moment stays as it is."""
    try:
        ends = sorted((values["since"], values["until"]), key=datetime.fromisoformat)
    except (KeyError, TypeError, ValueError):
        return values
    return {**values, "since": ends[0], "until": ends[1]}


@schemathesis.hook
def map_query(context, query):
    """A range of both ends that is empty is refused, and rightly so."""
    return _in_order(query)


@schemathesis.hook
def map_body(context, body):
    """The same in a body."""
    return _in_order(body)
