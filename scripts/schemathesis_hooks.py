"""What schemathesis cannot know of the HTTP API: which links there are, and that a range begins before its end."""

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


def _one_end(values):
    if isinstance(values, dict) and "since" in values and "until" in values:
        return {name: value for name, value in values.items() if name != "until"}
    return values


@schemathesis.hook
def map_query(context, query):
    """A range of both ends that is empty is refused, and rightly so."""
    return _one_end(query)


@schemathesis.hook
def map_body(context, body):
    """The same in a body."""
    return _one_end(body)
