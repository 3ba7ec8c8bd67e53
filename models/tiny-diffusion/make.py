"""Makes tiny-diffusion: a pipeline of the library diffusers with the networks of Stable Diffusion 1 and random weights.

    python3 models/tiny-diffusion/make.py models/tiny-diffusion/model

It needs Python alone. The same call makes the same bytes. Names, shapes and configurations are those of
`StableDiffusionPipeline`, small; the pictures are coloured noise that depends on prompt, seed and input image, which is all
that the tests of the engine need.
"""

import json
import math
import random
import struct
import sys
from pathlib import Path

# Dimensions.
TEXT = {"width": 32, "heads": 4, "layers": 2, "inner": 64, "positions": 77}
UNET = {"channels": [32, 32], "attention": [True, False], "layers": 1, "heads": 4, "groups": 32}
VAE = {"channels": [8, 8, 16, 16], "layers": 1, "groups": 8}
LATENT = 4


class Network:
    """The tensors of a network, in the order in which they are added."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.tensors: dict[str, tuple[list[int], bytes]] = {}

    def add(self, name: str, shape: list[int], value) -> None:
        count = math.prod(shape)
        numbers = [value() for _ in range(count)]
        self.tensors[name] = (shape, struct.pack(f"<{count}e", *numbers))

    def weight(self, name: str, shape: list[int], scale: float = 1.0) -> None:
        deviation = scale / math.sqrt(math.prod(shape[1:]))
        self.add(name, shape, lambda: self.random.gauss(0.0, deviation))

    def linear(self, name: str, to: int, of: int, bias: bool = True, scale: float = 1.0) -> None:
        self.weight(f"{name}.weight", [to, of], scale)
        if bias:
            self.add(f"{name}.bias", [to], lambda: self.random.gauss(0.0, 0.02))

    def conv(self, name: str, to: int, of: int, side: int, scale: float = 1.0) -> None:
        self.weight(f"{name}.weight", [to, of, side, side], scale)
        self.add(f"{name}.bias", [to], lambda: self.random.gauss(0.0, 0.02))

    def norm(self, name: str, width: int) -> None:
        self.add(f"{name}.weight", [width], lambda: 1.0)
        self.add(f"{name}.bias", [width], lambda: 0.0)

    def write(self, path: Path) -> None:
        header, data = {}, b""
        for name, (shape, numbers) in sorted(self.tensors.items()):
            header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [len(data), len(data) + len(numbers)]}
            data += numbers
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def resnet(network: Network, name: str, of: int, to: int, time: int | None) -> None:
    network.norm(f"{name}.norm1", of)
    network.conv(f"{name}.conv1", to, of, 3)
    if time is not None:
        network.linear(f"{name}.time_emb_proj", to, time)
    network.norm(f"{name}.norm2", to)
    network.conv(f"{name}.conv2", to, to, 3, 0.5)
    if of != to:
        network.conv(f"{name}.conv_shortcut", to, of, 1)


def transformer(network: Network, name: str, width: int, context: int) -> None:
    network.norm(f"{name}.norm", width)
    network.conv(f"{name}.proj_in", width, width, 1)
    block = f"{name}.transformer_blocks.0"
    for attention, of in (("attn1", width), ("attn2", context)):
        network.linear(f"{block}.{attention}.to_q", width, width, bias=False)
        network.linear(f"{block}.{attention}.to_k", width, of, bias=False)
        network.linear(f"{block}.{attention}.to_v", width, of, bias=False)
        network.linear(f"{block}.{attention}.to_out.0", width, width)
    network.linear(f"{block}.ff.net.0.proj", 8 * width, width)
    network.linear(f"{block}.ff.net.2", width, 4 * width)
    for norm in ("norm1", "norm2", "norm3"):
        network.norm(f"{block}.{norm}", width)
    network.conv(f"{name}.proj_out", width, width, 1)


def unet() -> Network:
    network = Network(1)
    channels, layers, context = UNET["channels"], UNET["layers"], TEXT["width"]
    time = 4 * channels[0]
    network.conv("conv_in", channels[0], LATENT, 3)
    network.linear("time_embedding.linear_1", time, channels[0])
    network.linear("time_embedding.linear_2", time, time)
    skipped = [channels[0]]
    for level, to in enumerate(channels):
        of = channels[max(level - 1, 0)]
        for layer in range(layers):
            resnet(network, f"down_blocks.{level}.resnets.{layer}", of if layer == 0 else to, to, time)
            if UNET["attention"][level]:
                transformer(network, f"down_blocks.{level}.attentions.{layer}", to, context)
            skipped.append(to)
        if level + 1 < len(channels):
            network.conv(f"down_blocks.{level}.downsamplers.0.conv", to, to, 3)
            skipped.append(to)
    last = channels[-1]
    resnet(network, "mid_block.resnets.0", last, last, time)
    transformer(network, "mid_block.attentions.0", last, context)
    resnet(network, "mid_block.resnets.1", last, last, time)
    width = last
    for level, to in enumerate(reversed(channels)):
        attends = UNET["attention"][len(channels) - 1 - level]
        for layer in range(layers + 1):
            resnet(network, f"up_blocks.{level}.resnets.{layer}", width + skipped.pop(), to, time)
            if attends:
                transformer(network, f"up_blocks.{level}.attentions.{layer}", to, context)
            width = to
        if level + 1 < len(channels):
            network.conv(f"up_blocks.{level}.upsamplers.0.conv", to, to, 3)
    network.norm("conv_norm_out", channels[0])
    network.conv("conv_out", LATENT, channels[0], 3)
    return network


def vae() -> Network:
    network = Network(2)
    channels, layers = VAE["channels"], VAE["layers"]

    def middle(side: str) -> None:
        last = channels[-1]
        resnet(network, f"{side}.mid_block.resnets.0", last, last, None)
        network.norm(f"{side}.mid_block.attentions.0.group_norm", last)
        for name in ("to_q", "to_k", "to_v", "to_out.0"):
            network.linear(f"{side}.mid_block.attentions.0.{name}", last, last)
        resnet(network, f"{side}.mid_block.resnets.1", last, last, None)

    network.conv("encoder.conv_in", channels[0], 3, 3)
    for level, to in enumerate(channels):
        of = channels[max(level - 1, 0)]
        for layer in range(layers):
            resnet(network, f"encoder.down_blocks.{level}.resnets.{layer}", of if layer == 0 else to, to, None)
        if level + 1 < len(channels):
            network.conv(f"encoder.down_blocks.{level}.downsamplers.0.conv", to, to, 3)
    middle("encoder")
    network.norm("encoder.conv_norm_out", channels[-1])
    network.conv("encoder.conv_out", 2 * LATENT, channels[-1], 3)
    network.conv("quant_conv", 2 * LATENT, 2 * LATENT, 1)
    network.conv("post_quant_conv", LATENT, LATENT, 1)
    network.conv("decoder.conv_in", channels[-1], LATENT, 3)
    middle("decoder")
    width = channels[-1]
    for level, to in enumerate(reversed(channels)):
        for layer in range(layers + 1):
            resnet(network, f"decoder.up_blocks.{level}.resnets.{layer}", width, to, None)
            width = to
        if level + 1 < len(channels):
            network.conv(f"decoder.up_blocks.{level}.upsamplers.0.conv", to, to, 3)
    network.norm("decoder.conv_norm_out", channels[0])
    network.conv("decoder.conv_out", 3, channels[0], 3, 0.6)
    return network


def text_encoder(vocabulary: int) -> Network:
    network = Network(3)
    width, inner = TEXT["width"], TEXT["inner"]
    embeddings = "text_model.embeddings"
    network.add(f"{embeddings}.token_embedding.weight", [vocabulary, width], lambda: network.random.gauss(0, 1))
    network.add(
        f"{embeddings}.position_embedding.weight", [TEXT["positions"], width], lambda: network.random.gauss(0, 0.1)
    )
    for layer in range(TEXT["layers"]):
        name = f"text_model.encoder.layers.{layer}"
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            network.linear(f"{name}.self_attn.{projection}", width, width)
        network.norm(f"{name}.layer_norm1", width)
        network.linear(f"{name}.mlp.fc1", inner, width)
        network.linear(f"{name}.mlp.fc2", width, inner)
        network.norm(f"{name}.layer_norm2", width)
    network.norm("text_model.final_layer_norm", width)
    return network


def byte_characters() -> list[str]:
    """The characters of the bytes in the order of CLIP's vocabulary."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


def main(folder: Path) -> None:
    characters = byte_characters()
    merges = [("f", "o"), ("fo", "x</w>"), ("c", "a"), ("ca", "t</w>"), ("t", "h"), ("th", "e</w>")]
    tokens = [*characters, *(f"{one}</w>" for one in characters), *("".join(pair) for pair in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]

    def write(name: str, value) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        path.write_text(text, encoding="utf-8")

    write("model_index.json", {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.31.0",
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    })
    write("tokenizer/vocab.json", {token: index for index, token in enumerate(tokens)})
    write("tokenizer/merges.txt", "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    write("scheduler/scheduler_config.json", {
        "_class_name": "EulerDiscreteScheduler",
        "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000, "prediction_type": "epsilon", "steps_offset": 1, "timestep_spacing": "leading",
    })
    write("text_encoder/config.json", {
        "architectures": ["CLIPTextModel"], "hidden_act": "quick_gelu", "hidden_size": TEXT["width"],
        "intermediate_size": TEXT["inner"], "num_attention_heads": TEXT["heads"],
        "num_hidden_layers": TEXT["layers"], "max_position_embeddings": TEXT["positions"],
        "projection_dim": TEXT["width"], "vocab_size": len(tokens),
    })
    kinds = ["CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in UNET["attention"]]
    write("unet/config.json", {
        "_class_name": "UNet2DConditionModel", "in_channels": LATENT, "out_channels": LATENT,
        "block_out_channels": UNET["channels"], "down_block_types": kinds,
        "up_block_types": [kind.replace("Down", "Up") for kind in reversed(kinds)],
        "layers_per_block": UNET["layers"], "attention_head_dim": UNET["heads"],
        "cross_attention_dim": TEXT["width"], "norm_num_groups": UNET["groups"], "norm_eps": 1e-5,
    })
    write("vae/config.json", {
        "_class_name": "AutoencoderKL", "block_out_channels": VAE["channels"], "layers_per_block": VAE["layers"],
        "latent_channels": LATENT, "norm_num_groups": VAE["groups"], "scaling_factor": 0.18215,
    })
    unet().write(folder / "unet/diffusion_pytorch_model.safetensors")
    vae().write(folder / "vae/diffusion_pytorch_model.safetensors")
    text_encoder(len(tokens)).write(folder / "text_encoder/model.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
