use std::fs;

use serde_json::{Value, json};

use super::*;

/// Writes a safetensors file with tensors of zeros.
fn write(path: &Path, names: &[&str]) {
    let mut header = serde_json::Map::new();
    for (index, name) in names.iter().enumerate() {
        let begin = index * 8;
        header.insert(
            (*name).to_owned(),
            json!({"dtype": "F16", "shape": [2, 2], "data_offsets": [begin, begin + 8]}),
        );
    }
    write_raw(path, &Value::Object(header), names.len() * 8);
}

fn write_raw(path: &Path, header: &Value, data: usize) {
    let json = header.to_string();
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

const SD1: [&str; 3] = [
    "model.diffusion_model.input_blocks.0.0.weight",
    "first_stage_model.encoder.conv_in.weight",
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
];

#[test]
fn family_of_a_single_file_follows_from_its_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.safetensors");
    write(&file, &SD1);
    let checkpoint = Checkpoint::read(&file).unwrap();
    assert_eq!((checkpoint.family, checkpoint.weights), (ImageFamily::Sd1, 12));
    assert_eq!(checkpoint.precision.as_deref(), Some("F16"));
    let xl = [
        SD1[0],
        SD1[1],
        "conditioner.embedders.0.transformer.text_model.final_layer_norm.bias",
        "conditioner.embedders.1.model.ln_final.bias",
    ];
    write(&file, &xl);
    assert_eq!(Checkpoint::read(&file).unwrap().family, ImageFamily::Sdxl);
    write(&file, &["lora_unet_down_blocks_0.lora_up.weight"]);
    assert_eq!(Checkpoint::read(&file), Err(NoCheckpoint::Other));
    for (names, reason) in [
        (&SD1[..2], "no text encoder"),
        (&[SD1[0], SD1[2]][..], "no autoencoder"),
        (&["model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight"][..], "doesn't have"),
        (&["double_blocks.0.img_mod.lin.weight"][..], "put it into a folder"),
        (&["model.diffusion_model.double_blocks.0.img_mod.lin.weight"][..], "put it into a folder"),
    ] {
        write(&file, names);
        let Err(NoCheckpoint::Unusable(problem)) = Checkpoint::read(&file) else { panic!("{names:?}") };
        assert!(problem.contains(reason), "{problem}");
    }
}

#[test]
fn damaged_headers_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.safetensors");
    let tensor = |value: Value| json!({SD1[0]: value});
    for (header, data, reason) in [
        (tensor(json!({"dtype": "F16", "shape": [4], "data_offsets": [0, 8]})), 4, "unfinished"),
        (tensor(json!({"dtype": "F16", "shape": [5], "data_offsets": [0, 8]})), 8, "another size"),
        (tensor(json!({"dtype": "F9", "shape": [4], "data_offsets": [0, 8]})), 8, "unknown type"),
        (tensor(json!({"dtype": "F16", "shape": [4], "data_offsets": [8, 0]})), 8, "before it begins"),
        (tensor(json!({"dtype": "F16", "shape": [u64::MAX, 2], "data_offsets": [0, 8]})), 8, "another size"),
        (
            tensor(json!({"dtype": "F16", "shape": [1, 1, 1, 1, 1, 1, 4], "data_offsets": [0, 8]})),
            8,
            "dimensions",
        ),
        (tensor(json!(3)), 8, "damaged"),
        (json!([]), 8, "damaged"),
    ] {
        write_raw(&file, &header, data);
        let error = SafetensorsHeader::read(&file).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    fs::write(&file, u64::MAX.to_le_bytes()).unwrap();
    assert!(SafetensorsHeader::read(&file).unwrap_err().to_string().contains("bytes"));
    fs::write(&file, [1, 2, 3]).unwrap();
    assert!(SafetensorsHeader::read(&file).unwrap_err().to_string().contains("unfinished"));
}

#[test]
fn folder_of_diffusers_is_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    assert_eq!(Checkpoint::read(root), Err(NoCheckpoint::Other));
    let index =
        |class: &str| fs::write(root.join(MODEL_INDEX), json!({"_class_name": class}).to_string()).unwrap();
    index("StableDiffusionPipeline");
    let Err(NoCheckpoint::Unusable(problem)) = Checkpoint::read(root) else { panic!() };
    assert!(problem.contains("unet has no weights"), "{problem}");
    write(&root.join("unet/diffusion_pytorch_model.safetensors"), &["conv_in.weight"]);
    write(&root.join("vae/diffusion_pytorch_model.fp16.safetensors"), &["encoder.conv_in.weight"]);
    write(&root.join("text_encoder/model.safetensors"), &["text_model.final_layer_norm.bias"]);
    let checkpoint = Checkpoint::read(root).unwrap();
    assert_eq!((checkpoint.family, checkpoint.weights, checkpoint.files.len()), (ImageFamily::Sd1, 12, 4));
    fs::write(root.join("text_encoder/config.json"), r#"{"hidden_act": "gelu"}"#).unwrap();
    assert_eq!(Checkpoint::read(root).unwrap().family, ImageFamily::Sd2);
    let padding = " ".repeat(1 << 20);
    fs::write(root.join("text_encoder/config.json"), format!(r#"{{"hidden_act": "gelu"}}{padding}"#))
        .unwrap();
    assert_eq!(Checkpoint::read(root).unwrap().family, ImageFamily::Sd1);
    fs::write(root.join(MODEL_INDEX), format!("{{}}{padding}")).unwrap();
    let Err(NoCheckpoint::Unusable(problem)) = Checkpoint::read(root) else { panic!() };
    assert!(problem.contains("more than 1 MiB"), "{problem}");
    index("FluxPipeline");
    let Err(NoCheckpoint::Unusable(problem)) = Checkpoint::read(root) else { panic!() };
    assert!(problem.contains("FluxPipeline"), "{problem}");
}
