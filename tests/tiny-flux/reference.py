"""Computes the networks of FLUX.1 in PyTorch, with the weights of tiny-flux.

    pip install torch diffusers transformers
    python3 tests/tiny-flux/reference.py

Prints the numbers that `engines/diffusion/src/flux/tests/reference.rs` expects.
"""

import math

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

MASK = (1 << 64) - 1
WIDTH, HEAD, PATCH, TIME, BLOCKS, CONTEXT, POOLED = 64, 32, 64, 256, 2, 32, 8
T5 = {"vocabulary": 36, "width": 32, "heads": 2, "inner": 64, "layers": 2, "buckets": 32}


def numbers(name: str, count: int) -> list[float]:
    """The numbers of `random.rs`."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & MASK
    result = []
    for index in range(1, count + 1):
        number = (seed + index * 0x9E3779B97F4A7C15) & MASK
        number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
        number ^= number >> 31
        result.append((number >> 40) / (1 << 23) - 1.0)
    return result


def tensor(name: str, shape: list[int], offset: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    return offset + scale * torch.tensor(numbers(name, math.prod(shape)), dtype=torch.float32).reshape(shape)


def weight(name: str, shape: list[int]) -> torch.Tensor:
    return tensor(name, shape, 0.0, math.sqrt(3.0 / math.prod(shape[1:])))


def linear(state: dict, target: str, source: str, to: int, of: int) -> None:
    state[f"{target}.weight"] = weight(f"{source}.weight", [to, of])
    state[f"{target}.bias"] = tensor(f"{source}.bias", [to], 0.0, 0.05)


def split(state: dict, targets: list[str], source: str, sizes: list[int], of: int) -> None:
    """Layers that are one in the original program."""
    whole: dict = {}
    linear(whole, "all", source, sum(sizes), of)
    for kind in ["weight", "bias"]:
        for target, part in zip(targets, whole[f"all.{kind}"].split(sizes)):
            state[f"{target}.{kind}"] = part


def transformer_state(is_guided: bool) -> dict:
    """The names of diffusers' `convert_flux_to_diffusers.py`."""
    state: dict = {}
    linear(state, "x_embedder", "img_in", WIDTH, PATCH)
    linear(state, "context_embedder", "txt_in", WIDTH, CONTEXT)
    embedders = [("timestep", "time_in", TIME), ("text", "vector_in", POOLED)]
    for target, source, of in embedders + ([("guidance", "guidance_in", TIME)] if is_guided else []):
        linear(state, f"time_text_embed.{target}_embedder.linear_1", f"{source}.in_layer", WIDTH, of)
        linear(state, f"time_text_embed.{target}_embedder.linear_2", f"{source}.out_layer", WIDTH, WIDTH)
    for index in range(BLOCKS):
        block, source = f"transformer_blocks.{index}", f"double_blocks.{index}"
        for stream, suffix, projections, norms, out in [
            ("img", "", ["to_q", "to_k", "to_v"], ["norm_q", "norm_k"], "to_out.0"),
            ("txt", "_context", ["add_q_proj", "add_k_proj", "add_v_proj"], ["norm_added_q", "norm_added_k"], "to_add_out"),
        ]:
            linear(state, f"{block}.norm1{suffix}.linear", f"{source}.{stream}_mod.lin", 6 * WIDTH, WIDTH)
            split(state, [f"{block}.attn.{name}" for name in projections], f"{source}.{stream}_attn.qkv", [WIDTH] * 3, WIDTH)
            for target, kind in zip(norms, ["query", "key"]):
                name = f"{source}.{stream}_attn.norm.{kind}_norm.scale"
                state[f"{block}.attn.{target}.weight"] = tensor(name, [HEAD], 1.0, 0.1)
            linear(state, f"{block}.attn.{out}", f"{source}.{stream}_attn.proj", WIDTH, WIDTH)
            linear(state, f"{block}.ff{suffix}.net.0.proj", f"{source}.{stream}_mlp.0", 4 * WIDTH, WIDTH)
            linear(state, f"{block}.ff{suffix}.net.2", f"{source}.{stream}_mlp.2", WIDTH, 4 * WIDTH)
    for index in range(BLOCKS):
        block, source = f"single_transformer_blocks.{index}", f"single_blocks.{index}"
        linear(state, f"{block}.norm.linear", f"{source}.modulation.lin", 3 * WIDTH, WIDTH)
        targets = [f"{block}.attn.to_q", f"{block}.attn.to_k", f"{block}.attn.to_v", f"{block}.proj_mlp"]
        split(state, targets, f"{source}.linear1", [WIDTH, WIDTH, WIDTH, 4 * WIDTH], WIDTH)
        linear(state, f"{block}.proj_out", f"{source}.linear2", WIDTH, 5 * WIDTH)
        for target, kind in [("norm_q", "query"), ("norm_k", "key")]:
            state[f"{block}.attn.{target}.weight"] = tensor(f"{source}.norm.{kind}_norm.scale", [HEAD], 1.0, 0.1)
    modulation: dict = {}
    linear(modulation, "all", "final_layer.adaLN_modulation.1", 2 * WIDTH, WIDTH)
    for kind in ["weight", "bias"]:
        # The original program has the shift first.
        shift, scale = modulation[f"all.{kind}"].chunk(2)
        state[f"norm_out.linear.{kind}"] = torch.cat([scale, shift])
    linear(state, "proj_out", "final_layer.linear", PATCH, WIDTH)
    return state


def predict(is_guided: bool) -> torch.Tensor:
    """One step for latents of 4 x 6 and a text of 5 tokens."""
    model = FluxTransformer2DModel(
        patch_size=1,
        in_channels=PATCH,
        num_layers=BLOCKS,
        num_single_layers=BLOCKS,
        attention_head_dim=HEAD,
        num_attention_heads=WIDTH // HEAD,
        joint_attention_dim=CONTEXT,
        pooled_projection_dim=POOLED,
        guidance_embeds=is_guided,
        axes_dims_rope=(4, 14, 14),
    ).eval()
    model.load_state_dict(transformer_state(is_guided), strict=True)
    latents = tensor("latents", [1, 16, 4, 6])
    patches = latents.reshape(1, 16, 2, 2, 3, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, 6, 64)
    places = torch.tensor([[0.0, row, column] for row in range(2) for column in range(3)])
    with torch.no_grad():
        result = model(
            hidden_states=patches,
            encoder_hidden_states=tensor("context", [1, 5, CONTEXT]),
            pooled_projections=tensor("pooled", [1, POOLED]),
            timestep=torch.tensor([0.7]),
            img_ids=places,
            txt_ids=torch.zeros(5, 3),
            guidance=torch.tensor([3.5]) if is_guided else None,
        ).sample
    return result.reshape(1, 2, 3, 16, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(1, 16, 4, 6)


def t5() -> torch.Tensor:
    """T5 for five tokens and three of padding, which it reads as FLUX.1's encoder does."""
    width, inner = T5["width"], T5["inner"]
    config = T5Config(
        vocab_size=T5["vocabulary"],
        d_model=width,
        d_kv=width // T5["heads"],
        d_ff=inner,
        num_layers=T5["layers"],
        num_heads=T5["heads"],
        relative_attention_num_buckets=T5["buckets"],
        feed_forward_proj="gated-gelu",
        layer_norm_epsilon=1e-6,
    )
    model = T5EncoderModel(config).eval()
    state = {"shared.weight": tensor("token_embd.weight", [T5["vocabulary"], width])}
    for layer in range(T5["layers"]):
        block, source = f"encoder.block.{layer}", f"enc.blk.{layer}"
        attention, feed_forward = f"{block}.layer.0", f"{block}.layer.1"
        state[f"{attention}.layer_norm.weight"] = tensor(f"{source}.attn_norm.weight", [width], 1.0, 0.1)
        state[f"{feed_forward}.layer_norm.weight"] = tensor(f"{source}.ffn_norm.weight", [width], 1.0, 0.1)
        for kind in "qkvo":
            state[f"{attention}.SelfAttention.{kind}.weight"] = weight(f"{source}.attn_{kind}.weight", [width, width])
        for kind, name, shape in [
            ("wi_0", "ffn_gate", [inner, width]),
            ("wi_1", "ffn_up", [inner, width]),
            ("wo", "ffn_down", [width, inner]),
        ]:
            state[f"{feed_forward}.DenseReluDense.{kind}.weight"] = weight(f"{source}.{name}.weight", shape)
    state["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = tensor(
        "enc.blk.0.attn_rel_b.weight", [T5["buckets"], T5["heads"]]
    )
    state["encoder.final_layer_norm.weight"] = tensor("enc.output_norm.weight", [width], 1.0, 0.1)
    problems = model.load_state_dict(state, strict=False)
    assert not problems.unexpected_keys and set(problems.missing_keys) <= {"encoder.embed_tokens.weight"}, problems
    with torch.no_grad():
        return model(input_ids=torch.tensor([[4, 5, 8, 30, 1, 0, 0, 0] + [0] * 192])).last_hidden_state


def clip() -> torch.Tensor:
    """CLIP's pooled output for a text of three tokens."""
    width = POOLED
    config = CLIPTextConfig(
        vocab_size=49408, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=1, num_attention_heads=1
    )
    model = CLIPTextModel(config).eval()
    prefix = "text_model." if any(name.startswith("text_model.") for name in model.state_dict()) else ""
    state = {
        "embeddings.token_embedding.weight": tensor("text_model.embeddings.token_embedding.weight", [49408, width]),
        "embeddings.position_embedding.weight": tensor("text_model.embeddings.position_embedding.weight", [77, width]),
    }
    layer = "encoder.layers.0"
    for norm in [f"{layer}.layer_norm1", f"{layer}.layer_norm2", "final_layer_norm"]:
        state[f"{norm}.weight"] = tensor(f"text_model.{norm}.weight", [width], 1.0, 0.1)
        state[f"{norm}.bias"] = tensor(f"text_model.{norm}.bias", [width], 0.0, 0.05)
    for name in ["q_proj", "k_proj", "v_proj", "out_proj"]:
        linear(state, f"{layer}.self_attn.{name}", f"text_model.{layer}.self_attn.{name}", width, width)
    linear(state, f"{layer}.mlp.fc1", f"text_model.{layer}.mlp.fc1", 2 * width, width)
    linear(state, f"{layer}.mlp.fc2", f"text_model.{layer}.mlp.fc2", width, 2 * width)
    # The file has numbers of 16 bits.
    problems = model.load_state_dict(
        {prefix + name: value.half().float() for name, value in state.items()}, strict=False
    )
    assert not problems.unexpected_keys and not problems.missing_keys, problems
    # "a photo": the start, the words, and ends up to the length.
    tokens = [49406, 320, 1125] + [49407] * 74
    with torch.no_grad():
        return model(input_ids=torch.tensor([tokens])).pooler_output


def conv(state: dict, target: str, source: str, to: int, of: int, side: int, is_matrix: bool = False) -> None:
    whole = weight(f"{source}.weight", [to, of, side, side])
    state[f"{target}.weight"] = whole.reshape(to, of) if is_matrix else whole
    state[f"{target}.bias"] = tensor(f"{source}.bias", [to], 0.0, 0.05)


def norm(state: dict, target: str, source: str, width: int) -> None:
    state[f"{target}.weight"] = tensor(f"{source}.weight", [width], 1.0, 0.1)
    state[f"{target}.bias"] = tensor(f"{source}.bias", [width], 0.0, 0.05)


def autoencoder() -> tuple[torch.Tensor, torch.Tensor]:
    """Latents of a picture, and a picture of latents, at the scale of FLUX.1."""
    channels, levels, latent = 32, 4, 16
    model = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        block_out_channels=[channels] * levels,
        layers_per_block=1,
        latent_channels=latent,
        norm_num_groups=32,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).eval()
    state: dict = {}

    def resnet(target: str, source: str) -> None:
        for index in (1, 2):
            norm(state, f"{target}.norm{index}", f"{source}.norm{index}", channels)
            conv(state, f"{target}.conv{index}", f"{source}.conv{index}", channels, channels, 3)

    for side, of, to in [("encoder", 3, 2 * latent), ("decoder", latent, 3)]:
        conv(state, f"{side}.conv_in", f"{side}.conv_in", channels, of, 3)
        norm(state, f"{side}.conv_norm_out", f"{side}.norm_out", channels)
        conv(state, f"{side}.conv_out", f"{side}.conv_out", to, channels, 3)
        for index in (0, 1):
            resnet(f"{side}.mid_block.resnets.{index}", f"{side}.mid.block_{index + 1}")
        attention, source = f"{side}.mid_block.attentions.0", f"{side}.mid.attn_1"
        norm(state, f"{attention}.group_norm", f"{source}.norm", channels)
        for target, name in [("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")]:
            conv(state, f"{attention}.{target}", f"{source}.{name}", channels, channels, 1, is_matrix=True)
    for level in range(levels):
        resnet(f"encoder.down_blocks.{level}.resnets.0", f"encoder.down.{level}.block.0")
        if level + 1 < levels:
            source = f"encoder.down.{level}.downsample.conv"
            conv(state, f"encoder.down_blocks.{level}.downsamplers.0.conv", source, channels, channels, 3)
        # The original program counts the levels from the picture.
        source = f"decoder.up.{levels - 1 - level}"
        for block in range(2):
            resnet(f"decoder.up_blocks.{level}.resnets.{block}", f"{source}.block.{block}")
        if level + 1 < levels:
            target = f"decoder.up_blocks.{level}.upsamplers.0.conv"
            conv(state, target, f"{source}.upsample.conv", channels, channels, 3)
    # The file has numbers of 16 bits.
    model.load_state_dict({name: value.half().float() for name, value in state.items()}, strict=True)
    scale, shift = 0.3611, 0.1159
    with torch.no_grad():
        latents = (model.encode(tensor("pixels", [1, 3, 32, 48])).latent_dist.mode() - shift) * scale
        pixels = model.decode(tensor("latents", [1, latent, 4, 6]) / scale + shift).sample
    return latents, pixels.clamp(-1.0, 1.0)


def show(name: str, result: torch.Tensor) -> None:
    flat = result.flatten()
    picked = [round(float(flat[index]), 5) for index in range(0, len(flat), max(1, len(flat) // 12))][:12]
    print(name, list(result.shape), picked, "mean of sizes", round(float(flat.abs().mean()), 6))


if __name__ == "__main__":
    show("dev", predict(True))
    show("schnell", predict(False))
    show("t5", t5())
    show("clip", clip())
    latents, pixels = autoencoder()
    show("encoded", latents)
    show("decoded", pixels)
