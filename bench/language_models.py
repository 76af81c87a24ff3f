#!/usr/bin/env python3
"""`tl bench` beside llama.cpp on a model of TinyLlama-1.1B's shape with random
weights, in several types.

    $(tests/python_env.py full) bench/language_models.py [--tl build/tl]
                                [--types f16,q8_0] [--folder DIR]

Both read the same GGUF file with two threads and a 16-bit cache, a prompt of 512
tokens and 128 new ones. They take turns, a repetition each, so that both meet the
same machine; medians count. Neither meets its weights or its code for the first
time. --folder keeps the files, 5 GB in all. Prints a table in Markdown.
"""

import argparse
import ctypes
import multiprocessing
import pathlib
import queue
import re
import statistics
import subprocess
import sys
import tempfile
import time

import gguf
import llama_cpp
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
THREADS = 2
PROMPT, NEW = 512, 128

LAYERS, DIM, FFN, HEADS, KV_HEADS, VOCAB = 22, 2048, 5632, 32, 4, 32000


def shapes():
    """Of TinyLlama's tensors, rows first."""
    yield "token_embd", VOCAB, DIM
    for layer in range(LAYERS):
        kv = DIM // HEADS * KV_HEADS
        for name, rows, columns in (
                ("attn_q", DIM, DIM), ("attn_k", kv, DIM), ("attn_v", kv, DIM),
                ("attn_output", DIM, DIM), ("ffn_gate", FFN, DIM),
                ("ffn_up", FFN, DIM), ("ffn_down", DIM, FFN)):
            yield f"blk.{layer}.{name}", rows, columns
    yield "output", VOCAB, DIM


def write_f16(path):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(DIM)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(DIM // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCAB)
    writer.add_tokenizer_model("no_vocab")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    random = np.random.default_rng(0)
    for name, rows, columns in shapes():
        weight = random.standard_normal((rows, columns), dtype=np.float32) * 0.02
        writer.add_tensor(f"{name}.weight", weight.astype(np.float16))
    norms = [f"blk.{layer}.{name}" for layer in range(LAYERS)
             for name in ("attn_norm", "ffn_norm")]
    for name in [*norms, "output_norm"]:
        writer.add_tensor(f"{name}.weight", np.ones(DIM, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def model_files(folder, types, tl):
    """The file of each type; one that is there is taken as it is."""
    source = folder / "f16.gguf"
    if not source.exists():
        write_f16(source)
    for name in types:
        path = folder / f"{name}.gguf"
        if not path.exists():
            subprocess.run([tl, "convert", source, path, "--type", name],
                           check=True, stdout=subprocess.DEVNULL)
        yield name, path


def llama_worker(path, requests, answers):
    """Loads the model, then answers each request with the seconds of a prompt and
    of the new tokens."""
    quiet = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p())
    model = llama_cpp.llama_model_load_from_file(
        str(path).encode(), llama_cpp.llama_model_default_params())
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx = PROMPT + NEW
    settings.n_batch = PROMPT
    settings.n_threads = settings.n_threads_batch = THREADS
    context = llama_cpp.llama_init_from_model(model, settings)

    def decode(tokens):
        array = (llama_cpp.llama_token * len(tokens))(*tokens)
        batch = llama_cpp.llama_batch_get_one(array, len(tokens))
        if llama_cpp.llama_decode(context, batch) != 0:
            raise RuntimeError("llama.cpp cannot decode")
        llama_cpp.llama_synchronize(context)

    def measure():
        memory = llama_cpp.llama_get_memory(context)
        llama_cpp.llama_memory_clear(memory, True)
        begin = time.perf_counter()
        decode([i * 7919 % VOCAB for i in range(PROMPT)])
        read = time.perf_counter()
        for _ in range(NEW):
            decode([1])
        return read - begin, time.perf_counter() - read

    measure()
    answers.put("ready")
    while requests.get():
        answers.put(measure())


class Llama:
    """llama.cpp in a process of its own."""

    def __init__(self, path):
        start = multiprocessing.get_context("spawn")
        self.requests, self.answers = start.Queue(), start.Queue()
        self.process = start.Process(target=llama_worker,
                                     args=(path, self.requests, self.answers))
        self.process.start()
        self._answer()

    def measure(self):
        self.requests.put(True)
        return self._answer()

    def _answer(self):
        while self.process.is_alive():
            try:
                return self.answers.get(timeout=1)
            except queue.Empty:
                pass
        raise RuntimeError(f"llama.cpp ended with {self.process.exitcode}")

    def close(self):
        self.requests.put(False)
        self.process.join()


def bench_tl(tl, path):
    """Tokens a second of the prompt and of new ones; GB/s of weights and memory."""
    said = subprocess.run(
        [tl, "bench", path, "-p", str(PROMPT), "-n", str(NEW), "-r", "1",
         "--threads", str(THREADS)], check=True, capture_output=True, text=True).stdout
    rates = [float(rate) for rate in re.findall(r"([\d.]+) t/s", said)]
    weights, memory = re.search(r"([\d.]+) GB/s, \d+ % of ([\d.]+) GB/s", said).groups()
    return rates[0], rates[1], float(weights), float(memory)


def compare(tl, path, repetitions):
    """Medians: tl's (prompt, new, weights GB/s, memory GB/s) and llama.cpp's
    (prompt, new)."""
    llama = Llama(path)
    ours, theirs = [], []
    for _ in range(repetitions):
        read, wrote = llama.measure()
        theirs.append((PROMPT / read, NEW / wrote))
        ours.append(bench_tl(tl, path))
    llama.close()
    return [[statistics.median(column) for column in zip(*rows)]
            for rows in (ours, theirs)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tl", type=pathlib.Path, default=ROOT / "build" / "tl")
    parser.add_argument("--types", default="f16,q8_0,q4_0,q4_k_m")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--folder", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or pathlib.Path(scratch)
        print(f"llama-cpp-python {llama_cpp.__version__}\n")
        print("| type | prompt, t/s | llama.cpp | ratio | new tokens, t/s | "
              "llama.cpp | ratio | of the read bandwidth |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        for name, path in model_files(folder, options.types.split(","), options.tl):
            ours, theirs = compare(options.tl, path, options.repetitions)
            print(f"| {name.upper()} | {ours[0]:.0f} | {theirs[0]:.0f} | "
                  f"{ours[0] / theirs[0]:.2f} | {ours[1]:.1f} | {theirs[1]:.1f} | "
                  f"{ours[1] / theirs[1]:.2f} | {100 * ours[2] / ours[3]:.0f} % |",
                  flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
