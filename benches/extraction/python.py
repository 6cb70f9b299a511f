"""Python's trafilatura on the same pages: prints the texts and the seconds as one JSON object."""

import gzip
import json
import sys
import time

import trafilatura

folder, precision = sys.argv[1], sys.argv[2:] == ["precision"]
with open(f"{folder}/ground-truth.json", encoding="utf-8") as file:
    truth = json.load(file)
texts, seconds = {}, 0.0
for name in truth:
    with gzip.open(f"{folder}/html/{name}.html.gz") as file:
        html = file.read().decode("utf-8", "replace")
    begun = time.perf_counter()
    text = trafilatura.extract(html, include_comments=False, favor_precision=precision)
    seconds += time.perf_counter() - begun
    texts[name] = text or ""
print(json.dumps({"texts": texts, "seconds": seconds}))
