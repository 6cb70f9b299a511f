"""What schemathesis cannot know of the HTTP API: which links there are."""

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
