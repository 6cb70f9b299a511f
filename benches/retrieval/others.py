"""Ranks the documents of a collection by others' ways, and prints [[name, {question: [document, ...]}], ...].

others.py <collection> <model> <chunks.jsonl>
"""

import json
import sys
from pathlib import Path

import bm25s
import numpy as np
import Stemmer
from sentence_transformers import SentenceTransformer

DEPTH = 100

collection, model, chunks = (Path(one) for one in sys.argv[1:4])


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


documents = lines(collection / "corpus.jsonl")
questions = lines(collection / "queries.jsonl")
ids = [one["_id"] for one in documents]
texts = ["\n\n".join(part for part in (one.get("title", ""), one["text"]) if part) for one in documents]
asked = [one["text"] for one in questions]


def ranked(scores):
    """The rankings of a matrix of scores, a row a question; equal ones by place."""
    found = {}
    for question, row in zip(questions, scores):
        order = np.argsort(-row, kind="stable")[:DEPTH]
        found[question["_id"]] = [ids[at] for at in order if row[at] > -1.0]
    return found


def bm25():
    """Its defaults (Lucene's variant, k1 1.5, b 0.75), English stop words and stems, as its own examples have it."""
    cut = dict(stopwords="en", stemmer=Stemmer.Stemmer("english"), show_progress=False)
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, **cut), show_progress=False)
    found, scores = index.retrieve(
        bm25s.tokenize(asked, **cut), k=min(DEPTH, len(texts)), show_progress=False
    )
    return {
        question["_id"]: [ids[at] for at, score in zip(row, row_scores) if score > 0]
        for question, row, row_scores in zip(questions, found, scores)
    }


def embedded(model, texts):
    return model.encode(texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False)


def main():
    answers = [("bm25s", bm25())]
    transformer = SentenceTransformer(str(model))
    vectors = embedded(transformer, asked)
    answers.append(("sentence-transformers, exact", ranked(vectors @ embedded(transformer, texts).T)))
    cut = lines(chunks)
    similar = vectors @ embedded(transformer, [one["text"] for one in cut]).T
    best = np.full((len(questions), len(ids)), -2.0)
    places = {id: at for at, id in enumerate(ids)}
    for column, chunk in enumerate(cut):
        at = places[chunk["document"]]
        best[:, at] = np.maximum(best[:, at], similar[:, column])
    answers.append(("sentence-transformers, exact, our chunks", ranked(best)))
    json.dump(answers, sys.stdout)


main()
