#!/usr/bin/env python3
"""PyTorch on the same GPU, models and lengths as bench/cuda.c: torch.compile with CUDA graphs, f16. Prints one JSON object.

    python3 bench/cuda_torch.py [--runs N] [--tiny]

Needs torch alone: the model is written here. Without torch or a GPU it says so, and that is all. Batches of several
sequences are padded to the longest, as PyTorch's users do.
"""
import argparse
import json
import time

CASES = [("3x768", 3, 768, 64, 16, 1), ("3x768", 3, 768, 64, 13, 28), ("12x768", 12, 768, 64, 128, 1), ("3x384", 3, 384, 32, 16, 1),
         ("6x384", 6, 384, 32, 13, 28)]
TINY = [("1x64", 1, 64, 32, 5, 2)]
WARM_RUNS, WARM_S = 20, 0.5  # a card that was idle raises its clocks by steps
AHEAD_CYCLES = 4_000_000  # two milliseconds of an idle multiprocessor, in which the host launches what is timed


def make_model(torch, layers, hidden, head):
    nn = torch.nn

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
            self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)
            self.first, self.second = nn.LayerNorm(hidden), nn.LayerNorm(hidden)

        def forward(self, x):
            rows, tokens, _ = x.shape
            q, k, v = self.qkv(x).view(rows, tokens, 3, hidden // head, head).permute(2, 0, 3, 1, 4)
            mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(rows, tokens, hidden)
            x = self.first(x + self.out(mixed))
            return self.second(x + self.down(nn.functional.gelu(self.up(x))))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.word, self.position = nn.Embedding(30522, hidden), nn.Embedding(512, hidden)
            self.norm = nn.LayerNorm(hidden)
            self.layers = nn.ModuleList(Layer() for _ in range(layers))

        def forward(self, ids):
            x = self.norm(self.word(ids) + self.position.weight[: ids.shape[1]])
            for layer in self.layers:
                x = layer(x)
            return x.mean(dim=1)

    return Model()


def quantiles(values):
    values = sorted(values)
    return {name: round(values[int(q * (len(values) - 1) + 0.5)], 2) for name, q in (("p50", 0.5), ("p90", 0.9))}


def time_case(torch, case, runs):
    name, layers, hidden, head, tokens, sequences = case
    torch._dynamo.reset()  # else the second case is compiled for any shape, and graphs of CUDA are for one
    torch.manual_seed(1)
    model = make_model(torch, layers, hidden, head).half().cuda().eval()
    compiled = torch.compile(model, mode="max-autotune", dynamic=False)  # with CUDA graphs
    ids = torch.randint(0, 30522, (sequences, tokens))
    gpu, host = [], []
    with torch.inference_mode():
        start, run = time.perf_counter(), 0
        while run < WARM_RUNS or time.perf_counter() - start < WARM_S:
            compiled(ids.cuda())
            torch.cuda.synchronize()
            start, run = time.perf_counter() if run == 0 else start, run + 1  # the first one compiles
        for _ in range(runs):
            on_gpu = ids.cuda()
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda._sleep(AHEAD_CYCLES)
            begin.record()
            compiled(on_gpu)
            end.record()
            torch.cuda.synchronize()
            gpu.append(begin.elapsed_time(end) * 1e3)
        for _ in range(runs):
            start = time.perf_counter()
            compiled(ids.cuda()).float().cpu()
            host.append((time.perf_counter() - start) * 1e6)
    return {"model": name, "precision": "f16", "tokens": tokens * sequences, "sequences": sequences, "gpu_us": quantiles(gpu),
            "host_us": quantiles(host)}


def time_cases(torch, cases, runs, end):
    """Yields each case's figures, or why there are none."""
    for case in cases:
        about = {"model": case[0], "tokens": case[4] * case[5], "sequences": case[5]}
        if time.monotonic() > end:
            yield {**about, "why": "no time is left"}
            continue
        try:
            yield time_case(torch, case, runs)
        except Exception as error:  # of torch, its compiler, or the device
            yield {**about, "why": f"{type(error).__name__}: {error}"[:300]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=600, help="after these no case is begun: each is compiled, for a minute or more")
    parser.add_argument("--tiny", action="store_true", help="a try of the program")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    try:
        import torch
    except ImportError:
        print(json.dumps({"torch": None, "why": "torch is not installed"}))
        return
    if not torch.cuda.is_available():
        print(json.dumps({"torch": torch.__version__, "why": "torch finds no GPU"}))
        return
    head = json.dumps({"torch": torch.__version__, "name": torch.cuda.get_device_name(), "runs": options.runs, "cases": []})
    print(head[:-2], flush=True)  # each case as soon as it is known: whoever ends this has those before
    for i, found in enumerate(time_cases(torch, TINY if options.tiny else CASES, options.runs, end)):
        print(f"{',' if i > 0 else ''}{json.dumps(found)}", flush=True)
    print("]}")


if __name__ == "__main__":
    main()
