"""One runtime with a Python package, as a process that answers lines; see src/main.rs."""

import json
import sys
import time

import numpy

name, folder, onnx, threads = sys.argv[1:]
threads = int(threads)


def sentence_transformers():
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    model = SentenceTransformer(folder, device="cpu")
    return lambda texts, batch: model.encode(
        texts, batch_size=batch, normalize_embeddings=True, show_progress_bar=False
    )


def onnx_runtime():
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.enable_padding()
    tokenizer.no_truncation()

    def embed(texts):
        encodings = tokenizer.encode_batch_fast(texts)
        ids = numpy.array([one.ids for one in encodings], dtype=numpy.int64)
        mask = numpy.array([one.attention_mask for one in encodings], dtype=numpy.int64)
        (states,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
        vectors = (states * mask[:, :, None]).sum(axis=1)
        return vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)

    return lambda texts, batch: numpy.concatenate(
        [embed(texts[at : at + batch]) for at in range(0, len(texts), batch)]
    )


embed = {"sentence-transformers": sentence_transformers, "onnxruntime": onnx_runtime}[name]()
for line in sys.stdin:
    question = json.loads(line)
    start = time.perf_counter()
    vectors = embed(question["texts"], question["batch"])
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "vectors": vectors.tolist()}), flush=True)
