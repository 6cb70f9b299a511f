"""Times the runtimes in turns, each a process that answers lines, and prints a table.

compare.py <model folder> <folder of HTML> <name>=<command> ...
The first is what the others are compared to.
"""

import glob
import html
import json
import os
import re
import statistics
import subprocess
import sys

from tokenizers import Tokenizer

BATCH = 32
TEXTS = 64
ROUNDS = 5
LENGTHS = (128, 256)

folder, pages, *candidates = sys.argv[1:]


def texts_of(length, tokenizer, words):
    """Distinct texts of the book of nearly this many tokens, the special ones included."""
    texts, at = [], 0
    while len(texts) < TEXTS:
        low, high = 1, length
        while low < high:
            middle = (low + high + 1) // 2
            count = len(tokenizer.encode(" ".join(words[at : at + middle])).ids)
            low, high = (middle, high) if count <= length else (low, middle - 1)
        texts.append(" ".join(words[at : at + low]))
        at += low
    return texts


class Runtime:
    def __init__(self, candidate):
        self.name, command = candidate.split("=", 1)
        self.process = subprocess.Popen(
            command.split(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def embed(self, texts):
        self.process.stdin.write(json.dumps({"texts": texts, "batch": BATCH}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["seconds"], answer["vectors"]


def load():
    return round(os.getloadavg()[0], 2)


tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
tokenizer.no_padding()
tokenizer.no_truncation()
words = []
for page in sorted(glob.glob(f"{pages}/ch*.html"))[:40]:
    with open(page, encoding="utf-8") as file:
        main = re.search(r"<main>(.*)</main>", file.read(), re.S)
    words += html.unescape(re.sub(r"<[^>]+>", " ", main.group(1) if main else "")).split()

runtimes = [Runtime(candidate) for candidate in candidates]
result = {"batch": BATCH, "texts": TEXTS, "rounds": ROUNDS, "load_before": load(), "runtimes": {}}
for length in LENGTHS:
    texts = texts_of(length, tokenizer, words)
    seconds = {runtime.name: [] for runtime in runtimes}
    vectors = {runtime.name: runtime.embed(texts)[1] for runtime in runtimes}
    for _ in range(ROUNDS):
        for runtime in runtimes:
            seconds[runtime.name].append(runtime.embed(texts)[0])
    reference = vectors[runtimes[0].name]
    for runtime in runtimes:
        rounds = seconds[runtime.name]
        ratios = [ours / theirs for ours, theirs in zip(seconds[runtimes[0].name], rounds)]
        cosines = [
            sum(a * b for a, b in zip(one, other))
            for one, other in zip(reference, vectors[runtime.name])
        ]
        result["runtimes"].setdefault(runtime.name, {})[str(length)] = {
            "chunks_per_second": round(TEXTS / statistics.median(rounds), 1),
            "ratio": round(statistics.median(ratios), 2),
            "cosine_mean": round(statistics.mean(cosines), 6),
            "cosine_min": round(min(cosines), 6),
        }
result["load_after"] = load()
for runtime in runtimes:
    runtime.process.stdin.close()
    runtime.process.wait()

print(f"{'runtime':24}" + "".join(f"{n:>8} {'ratio':>6}" for n in LENGTHS) + "  cosine mean, min")
for name, by_length in result["runtimes"].items():
    cells = "".join(f"{v['chunks_per_second']:8} {v['ratio']:6}" for v in by_length.values())
    mean = min(value["cosine_mean"] for value in by_length.values())
    least = min(value["cosine_min"] for value in by_length.values())
    print(f"{name:24}{cells}  {mean:.6f}, {least:.6f}")
print(json.dumps(result))
