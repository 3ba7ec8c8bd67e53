#!/usr/bin/env python3
"""Train tiny-embed, a very small embedding model, and write it as GGUF.

The script does the whole job on a CPU:

1. learn a WordPiece vocabulary from the texts of corpus.py;
2. train a small BERT (JAX) so that texts which mean the same lie close together;
3. quantise its matrices to Q8_0 and write a GGUF file that llama.cpp can load;
4. read the file back and check it on texts that training never saw.

    python train.py                                       # train, write, check
    python train.py --eval tiny-embed.gguf                # check a file only
    python train.py --eval tiny-embed.gguf --ask "a cat" "a kitten" "the stock market"
    python train.py --eval tiny-embed.gguf --server http://127.0.0.1:8080

All randomness comes from --seed.
"""

import argparse
import json
import random
import string
import sys
import time
import unicodedata
import urllib.request
from collections import Counter
from pathlib import Path

import numpy as np

from corpus import LATECOMERS, NEWCOMERS, STRANGERS, Corpus

# =============================================================================
# 1. Tokenizer
# =============================================================================

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, UNK, CLS, SEP, _ = range(len(SPECIAL_TOKENS))
START = "\u2581"  # How llama.cpp marks a piece that begins a word.


def is_ideograph(c):
    return any(a <= ord(c) <= b for a, b in ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2CEAF), (0x2F800, 0x2FA1F)))


def words_of(text):
    """The words of a text, in lower case and without accents; each punctuation mark is a word."""
    words, word = [], ""
    for c in unicodedata.normalize("NFD", text):
        kind = unicodedata.category(c)
        alone = kind[0] == "P" or (kind[0] == "S" and c < "\x7f") or is_ideograph(c)
        if (c.isspace() or alone) and word:
            words.append(word)
            word = ""
        if alone:
            words.append(c.lower())
        elif not c.isspace() and kind[0] not in "MC" and c != "\ufffd":
            word += c.lower()
    return words + [word] * bool(word)


class Tokenizer:
    """WordPiece: the longest piece that fits, from the beginning of the word to its end."""

    def __init__(self, tokens):
        self.tokens = tokens
        self.ids = {t: i for i, t in enumerate(tokens)}
        self.longest = max(map(len, tokens))
        self.known = {}

    def pieces(self, word, whole=True):
        """The ids of a word; without `whole`, of at least two pieces where it can be."""
        if (word, whole) not in self.known:
            rest, found = START + word, []
            while rest:
                limit = len(rest) if whole or found else max(2, len(rest) - 1)
                end = next((n for n in range(min(limit, self.longest), 0, -1) if rest[:n] in self.ids), None)
                if end is None:
                    found = [UNK]
                    break
                found.append(self.ids[rest[:end]])
                rest = rest[end:]
            self.known[word, whole] = found
        return self.known[word, whole]

    def encode(self, text, limit, rng=None):
        """Token ids with [CLS] and [SEP]. With `rng`, some words are split or left out, for training."""
        ids = []
        for word in words_of(text):
            luck = rng.random() if rng else 1.0
            if luck >= 0.05:
                ids += self.pieces(word, whole=luck >= 0.15)
        return [CLS, *ids[:limit - 2], SEP]


def learn_vocabulary(texts, size):
    """Letters, digits and marks, the most frequent words, and the pieces that most other words are made of."""
    counts = Counter(w for t in texts for w in words_of(t))
    letters = string.ascii_lowercase + string.digits
    tokens = SPECIAL_TOKENS + [START + c for c in letters + string.punctuation] + list(letters)
    spare = size // 12
    words = [w for w, _ in counts.most_common() if len(w) > 1]
    room = size - len(tokens) - 2 * spare
    tokens += [START + w for w in words[:room]]
    # A piece is worth the letters that it saves; words count alike, however frequent.
    heads, tails = Counter(), Counter()
    for word in words:
        for n in range(2, min(6, len(word))):
            tails[word[-n:]] += n - 1
            heads[START + word[:n]] += n - 1
    for pieces in (heads, tails):
        tokens += [p for p, _ in pieces.most_common(2 * spare) if p not in tokens][:spare]
    assert len(tokens) == len(set(tokens)) == size, "the corpus is too small for this vocabulary"
    return tokens, 1 - sum(counts[w] for w in words[room:]) / sum(counts.values())


# =============================================================================
# 2. Model
# =============================================================================


class Config:
    """Shape of the model. Everything is read from the GGUF file when there is one."""
    vocab = 2560
    width = 64
    layers = 2
    heads = 4
    hidden = 256
    context = 512
    types = 2
    eps = 1e-12


def matrix_shapes(c):
    """GGUF name of each matrix of a layer, and its (rows, columns)."""
    square = {name: (c.width, c.width) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
    return square | {"ffn_up": (c.hidden, c.width), "ffn_down": (c.width, c.hidden)}


def init_params(c, seed):
    """Parameters by their GGUF names."""
    rng = np.random.default_rng(seed)
    params = {"token_embd.weight": rng.standard_normal((c.vocab, c.width)) * 0.1,
              "token_types.weight": np.zeros((c.types, c.width)),
              "position_embd.weight": rng.standard_normal((c.context, c.width)) * 0.01}
    for norm in ["token_embd_norm"] + [f"blk.{i}.{n}_output_norm" for i in range(c.layers) for n in ("attn", "layer")]:
        params[f"{norm}.weight"], params[f"{norm}.bias"] = np.ones(c.width), np.zeros(c.width)
    for i in range(c.layers):
        for name, (rows, cols) in matrix_shapes(c).items():
            params[f"blk.{i}.{name}.weight"] = rng.standard_normal((rows, cols)) / np.sqrt(cols)
            params[f"blk.{i}.{name}.bias"] = np.zeros(rows)
    return {k: v.astype(np.float32) for k, v in params.items()}


def forward(params, tokens, c):
    """The mean of the last layer over the tokens of each row; padding is left out."""
    import jax
    import jax.numpy as jnp
    n, t = tokens.shape
    real = tokens != PAD
    bias = jnp.where(real, 0.0, -1e9)[:, None, None]

    def linear(x, name):
        return x @ params[name + ".weight"].T + params[name + ".bias"]

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + c.eps) * params[name + ".weight"] + params[name + ".bias"]

    def split(x):
        return x.reshape(n, t, c.heads, c.width // c.heads)

    h = params["token_embd.weight"][tokens] + params["token_types.weight"][0] + params["position_embd.weight"][:t]
    h = norm(h, "token_embd_norm")
    for layer in (f"blk.{i}." for i in range(c.layers)):
        q, k, v = (split(linear(h, layer + name)) for name in ("attn_q", "attn_k", "attn_v"))
        scores = jnp.einsum("nthd,nshd->nhts", q, k) * np.float32((c.width // c.heads) ** -0.5) + bias
        mixed = jnp.einsum("nhts,nshd->nthd", jax.nn.softmax(scores, -1), v).reshape(n, t, c.width)
        h = norm(h + linear(mixed, layer + "attn_output"), layer + "attn_output_norm")
        inner = jax.nn.gelu(linear(h, layer + "ffn_up"), approximate=True)
        h = norm(h + linear(inner, layer + "ffn_down"), layer + "layer_output_norm")
    return (h * real[..., None]).sum(1) / real.sum(1, keepdims=True)


# =============================================================================
# 3. Training
# =============================================================================

SHORT, LONG, LONGEST = 24, 128, 512


def padded(rows, length):
    out = np.full((len(rows), length), PAD, np.int32)
    for i, row in enumerate(rows):
        out[i, :len(row)] = row
    return out


def train(params, corpus, tokenizer, c, args):
    """Adam on a contrastive loss; linear decay to zero."""
    import jax
    import jax.numpy as jnp

    def contrast(a, b, temperature):
        """Each text must find its partner among those of the others (InfoNCE), both ways."""
        a, b = (x / jnp.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b))
        scores = a @ b.T / temperature
        diagonal = jnp.arange(len(a))
        both = [jax.nn.log_softmax(s, -1)[diagonal, diagonal].mean() for s in (scores, scores.T)]
        return -sum(both) / 2

    def nested(x, temperature):
        """The first half of a vector is trained to be a vector of its own."""
        a, b = x[0::2], x[1::2]
        half = c.width // 2
        return contrast(a, b, temperature) + 0.5 * contrast(a[:, :half], b[:, :half], temperature)

    def loss_of(p, same, domain):
        """Rows of pairs with the same meaning, then of pairs that share a domain."""
        x = forward(p, jnp.concatenate([same, domain]), c)
        loss = nested(x[:len(same)], 0.05)
        return loss + (0.5 * nested(x[len(same):], 0.1) if len(domain) else 0.0), loss

    @jax.jit
    def step(p, m, v, t, lr, same, domain):
        (_, loss), g = jax.value_and_grad(loss_of, has_aux=True)(p, same, domain)
        size = jnp.sqrt(sum((a * a).sum() for a in g.values()))
        new_p, new_m, new_v = {}, {}, {}
        for k in p:
            grad = g[k] * jnp.minimum(1.0, 1.0 / (size + 1e-6))
            new_m[k], new_v[k] = 0.9 * m[k] + 0.1 * grad, 0.98 * v[k] + 0.02 * grad * grad
            update = (new_m[k] / (1 - 0.9 ** t)) / (jnp.sqrt(new_v[k] / (1 - 0.98 ** t)) + 1e-8)
            decay = 0.01 if k.endswith(".weight") and "norm" not in k else 0.0
            new_p[k] = p[k] - lr * args.lr * (update + decay * p[k])
        return new_p, new_m, new_v, loss

    p = {k: jnp.array(x) for k, x in params.items()}
    m, v = ({k: jnp.zeros_like(a) for k, a in p.items()} for _ in range(2))
    rng, average, began = random.Random(args.seed), None, time.time()

    def rows(pairs, length):
        return padded([tokenizer.encode(text, length, rng) for pair in pairs for text in pair], length)

    for t in range(1, args.steps + 1):
        if t % 40 == 0:
            same, domain = rows(corpus.long_batch(12, 52), LONGEST), np.zeros((0, LONGEST), np.int32)
        elif t % 8 == 0:
            same, domain = rows(corpus.long_batch(32, 12), LONG), np.zeros((0, LONG), np.int32)
        else:
            same, domain = rows(corpus.batch(args.batch), SHORT), rows(corpus.domain_batch(), SHORT)
        lr = min(1.0, t / 50) * max(0.01, 1 - (t - 1) / args.steps)
        p, m, v, loss = step(p, m, v, float(t), lr, same, domain)
        if len(domain):
            average = float(loss) if average is None else 0.97 * average + 0.03 * float(loss)
        if t % 50 == 0 or t == args.steps:
            print(f"step {t}/{args.steps}  {time.time() - began:.0f} s  loss {average:.4f}", flush=True)
    return {k: np.asarray(a, np.float32) for k, a in p.items()}, average, time.time() - began


# =============================================================================
# 4. GGUF
# =============================================================================

DESCRIPTION = "A very small embedding model for short English texts. Hearth's tests use it."


def is_quantised(name):
    """The matrices that are multiplied or looked up; positions and types are added as they are."""
    return name == "token_embd.weight" or (name.startswith("blk.") and name.endswith(".weight") and "norm" not in name)


def write_gguf(path, params, tokens, c):
    import gguf
    from gguf.quants import quantize
    size = sum(int(v.size) for v in params.values())
    w = gguf.GGUFWriter(str(path), "bert")
    w.add_type(gguf.GGUFType.MODEL)
    w.add_name("tiny-embed")
    w.add_description(DESCRIPTION)
    w.add_license("apache-2.0")
    w.add_size_label(f"{size / 1e6:.1f}M")
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)
    w.add_vocab_size(c.vocab)
    w.add_context_length(c.context)
    w.add_embedding_length(c.width)
    w.add_block_count(c.layers)
    w.add_feed_forward_length(c.hidden)
    w.add_head_count(c.heads)
    w.add_layer_norm_eps(c.eps)
    w.add_causal_attention(False)
    w.add_pooling_type(gguf.PoolingType.MEAN)
    w.add_tokenizer_model("bert")
    w.add_tokenizer_pre("default")
    w.add_token_list(tokens)
    w.add_token_types([gguf.TokenType.CONTROL if t in SPECIAL_TOKENS else gguf.TokenType.NORMAL for t in tokens])
    w.add_token_type_count(c.types)
    for add, token in ((w.add_bos_token_id, "[CLS]"), (w.add_sep_token_id, "[SEP]"), (w.add_unk_token_id, "[UNK]"), (w.add_pad_token_id, "[PAD]"), (w.add_mask_token_id, "[MASK]")):
        add(tokens.index(token))
    w.add_uint32("tokenizer.ggml.cls_token_id", tokens.index("[CLS]"))
    q8 = gguf.GGMLQuantizationType.Q8_0
    for name, x in params.items():
        if is_quantised(name):
            w.add_tensor(name, quantize(x, q8), raw_dtype=q8)
        else:
            w.add_tensor(name, x)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def read_gguf(path):
    """(parameters as float32, tokenizer, config), all from the file alone."""
    import gguf
    from gguf.quants import dequantize
    reader = gguf.GGUFReader(str(path))

    def get(key):
        return reader.fields[key].contents()

    c = Config()
    c.width, c.layers, c.hidden = get("bert.embedding_length"), get("bert.block_count"), get("bert.feed_forward_length")
    c.heads, c.context, c.eps = get("bert.attention.head_count"), get("bert.context_length"), get("bert.attention.layer_norm_epsilon")
    assert get("general.name") == "tiny-embed" and get("bert.pooling_type") == 1 and not get("bert.attention.causal")
    params = {t.name: dequantize(t.data, t.tensor_type).astype(np.float32) for t in reader.tensors}
    tokens = get("tokenizer.ggml.tokens")
    c.vocab = len(tokens)
    assert params.keys() == init_params(c, 0).keys() and all(params[k].shape == v.shape for k, v in init_params(c, 0).items())
    return params, Tokenizer(tokens), c


# =============================================================================
# 5. Checking
# =============================================================================


class Embedder:
    """Gives texts their vectors, all of length one."""

    def __init__(self, params, tokenizer, c):
        import jax
        self.tokenizer, self.c = tokenizer, c
        params = {k: jax.numpy.array(v) for k, v in params.items()}
        self.forward = jax.jit(lambda tokens: forward(params, tokens, c))

    def embed(self, texts, size=None):
        """One vector a text, of its first `size` numbers if that is given."""
        rows = [self.tokenizer.encode(t, self.c.context) for t in texts]
        out = np.zeros((len(rows), self.c.width), np.float32)
        for least, length in ((0, SHORT), (SHORT, LONG), (LONG, LONGEST)):
            places = [i for i, row in enumerate(rows) if least < len(row) <= length]
            for part in (places[i:i + 64] for i in range(0, len(places), 64)):
                batch = padded([rows[i] for i in part] + [[CLS, SEP]] * (64 - len(part)), length)
                out[part] = np.asarray(self.forward(batch))[:len(part)]
        out = out[:, :size]
        return out / np.linalg.norm(out, axis=1, keepdims=True)


def retrieval(embedder, queries, candidates, size=None):
    """How often the right candidate is the nearest, and how often among the nearest five. A candidate is a list of texts."""
    ends = np.cumsum([len(texts) for texts in candidates])[:-1]
    scores = embedder.embed([q for q, _ in queries], size) @ embedder.embed(sum(candidates, []), size).T
    scores = np.stack([part.max(1) for part in np.split(scores, ends, 1)], 1)
    places = np.array([(row > row[right]).sum() for row, (_, right) in zip(scores, queries)])
    wrong = [(q, candidates[right][0], candidates[int(row.argmax())][0]) for (q, right), row, place in zip(queries, scores, places) if place]
    return (places < 1).mean(), (places < 5).mean(), wrong


def passages(count):
    """Passages of hundreds of tokens with another wording of each: (queries, candidates)."""
    corpus = Corpus(7)
    pairs = [pair for _ in range(count // 40 + 1) for pair in corpus.long_batch(40, 40)][:count]
    return [(a, i) for i, (a, _) in enumerate(pairs)], [[b] for _, b in pairs]


def evaluate(embedder, show_wrong, neighbours_path=None):
    """Print the figures and return the list of failures."""
    failures, corpus = [], Corpus(1)
    checks = [("unseen wordings", corpus.held_wordings(), 0.15), ("unseen fillings and scenes", corpus.held_fillings(), 0.9),
              ("passages", passages(200), 0.8)]
    sets = (("newcomers", NEWCOMERS, 0.5, 0.95), ("latecomers", LATECOMERS, 0.5, 0.9), ("strangers", STRANGERS, 0.3, 0.6))
    for name, triples, least, _ in sets:
        pairs = [(a, i) for i, (a, _, _) in enumerate(triples)], [[near] for _, near, _ in triples] + [[far] for _, _, far in triples]
        checks.append((name, pairs, least))
    for name, (queries, candidates), least in checks:
        first, five, wrong = retrieval(embedder, queries, candidates)
        half, _, _ = retrieval(embedder, queries, candidates, embedder.c.width // 2)
        print(f"{name}: {len(queries)} texts, {len(candidates)} candidates: first {first:.1%}, of five {five:.1%}; by half of the vector: first {half:.1%}")
        for query, want, got in wrong if show_wrong else []:
            print(f"    {query[:70]!r} is nearer to {got[:70]!r} than to {want[:70]!r}")
        if first < least:
            failures.append(f"{name}: the right one is first in less than {least:.0%}")
    for name, triples, _, least in sets:
        a, near, far = (embedder.embed([t[i] for t in triples]) for i in range(3))
        near, far = (a * near).sum(1), (a * far).sum(1)
        print(f"{name}: nearer to the related text in {(near > far).sum()} of {len(triples)}; cosine with it {near.min():.2f} to {near.max():.2f}, median {np.median(near):.2f}; with the other {far.min():.2f} to {far.max():.2f}, median {np.median(far):.2f}")
        if (near > far).mean() < least:
            failures.append(f"{name}: less than {least:.0%} are nearer to the related text")

    lines = ["# Neighbours", "", f"For some texts of `LATECOMERS` in `corpus.py`, the three of the other {3 * len(LATECOMERS) - 1} that `tiny-embed.gguf`", "(Q8_0) finds nearest, with their cosine, as `train.py` wrote them. None was in training.", ""]
    texts = [t for triple in LATECOMERS for t in triple]
    vectors = embedder.embed(texts)
    for i in range(0, len(texts), 6):
        scores = vectors @ vectors[i]
        scores[i] = -1
        lines += [f"**{texts[i]}**", ""] + [f"- {scores[j]:.2f} {texts[j]}" for j in np.argsort(-scores)[:3]] + [""]
    if neighbours_path:
        Path(neighbours_path).write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return failures


def compare(embedder, url):
    """Ask a llama-server for tokens and vectors, and compare them with ours."""
    def post(path, body):
        request = urllib.request.Request(url.rstrip("/") + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    texts = [t for triple in NEWCOMERS + LATECOMERS + STRANGERS for t in triple] + [a for a, _ in passages(8)[0]]
    texts += ["Café Zürich, naïve façade", "HTTP/2 & TLS 1.3: x = (a+b)*c^2;", "snake_case camelCase kebab-case", "日本語 and 😀", "", " \t\n tabs\tand\nlines ", "x" * 300]
    whole = [t[1:] for t in embedder.tokenizer.tokens if t[0] == START and t[1:].isalpha()]
    texts.append(" ".join(whole[:embedder.c.context - 2]))
    same = sum(post("/tokenize", {"content": t, "add_special": True})["tokens"] == embedder.tokenizer.encode(t, 10 ** 6) for t in texts)
    texts = [t for t in texts if t]
    answer = post("/v1/embeddings", {"model": "tiny-embed", "input": texts})
    theirs = np.array([d["embedding"] for d in sorted(answer["data"], key=lambda d: d["index"])])
    cosines = (embedder.embed(texts) * theirs).sum(1) / np.linalg.norm(theirs, axis=1)
    print(f"server: token ids equal on {same} of {len(texts) + 1} texts; cosine of the vectors of {len(texts)} texts: lowest {cosines.min():.6f}, median {np.median(cosines):.6f}")
    return [] if same == len(texts) + 1 and cosines.min() > 0.999 else ["the server disagrees"]


# =============================================================================
# 6. Command line
# =============================================================================


def main():
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=here / "tiny-embed.gguf", help="the GGUF file to write")
    parser.add_argument("--eval", type=Path, metavar="GGUF", help="only check this file")
    parser.add_argument("--ask", nargs="+", metavar="TEXT", help="with --eval: print the cosine of the first text with each of the others and stop")
    parser.add_argument("--server", metavar="URL", help="compare with a llama-server that has loaded the file")
    parser.add_argument("--neighbours", type=Path, help="write the neighbours of some texts to this file")
    parser.add_argument("--wrong", action="store_true", help="print what is not found")
    parser.add_argument("--no-check", action="store_true", help="do not check after training")
    parser.add_argument("--sample", type=int, metavar="N", help="print N pairs of the corpus and stop")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch", type=int, default=128, help="pairs in a step")
    parser.add_argument("--lr", type=float, default=3e-3)
    args = parser.parse_args()

    if args.sample:
        for a, b in Corpus(args.seed).batch(args.sample):
            print(f"{a}\n    {b}")
        return
    if not args.eval:
        corpus, c = Corpus(args.seed), Config()
        tokens, covered = learn_vocabulary(corpus.texts(60000), c.vocab)
        params = init_params(c, args.seed)
        print(f"{sum(v.size for v in params.values())} parameters, vocabulary {c.vocab}, {covered:.1%} of the words whole", flush=True)
        params, loss, seconds = train(params, corpus, Tokenizer(tokens), c, args)
        write_gguf(args.out, params, tokens, c)
        print(f"{args.out.name}: {args.out.stat().st_size} bytes, {seconds:.0f} s of training, last loss {loss:.4f}", flush=True)
        if args.no_check:
            return
    embedder = Embedder(*read_gguf(args.eval or args.out))
    if args.ask:
        vectors = embedder.embed(args.ask)
        for text, score in zip(args.ask[1:], vectors[1:] @ vectors[0]):
            print(f"{score:.3f} {text}")
        return
    failures = evaluate(embedder, args.wrong, args.neighbours)
    if args.server:
        failures += compare(embedder, args.server)
    for failure in failures:
        print("FAILED:", failure)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
