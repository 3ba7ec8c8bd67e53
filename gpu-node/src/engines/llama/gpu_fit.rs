//! Checks that a model fits into the GPUs' memory before it is loaded.
//!
//! The error of a driver that runs out of memory during a load says little. The devices are opened here, in the model's
//! own worker: the supervisor opens none.

use bytesize::ByteSize;
use llama_cpp_2::list_llama_ggml_backend_devices;

use crate::{
    engines::probe::{self, Device},
    frames::LoadSpec,
    gguf::{Header, Shape},
    memory::{self, ContextSize},
};

/// Returns `spec` with the longest context that fits into the GPUs' memory together with its layers: halved until it
/// fits, down to `context_length_min`. Without a GPU, or if it doesn't report its memory, everything fits.
///
/// # Errors
/// If the shortest context doesn't fit; the message says what would.
pub(super) fn fit_context(header: &Header, spec: &LoadSpec) -> Result<LoadSpec, String> {
    if spec.gpu_layers == 0 {
        return Ok(spec.clone());
    }
    let devices: Vec<Device> = list_llama_ggml_backend_devices().into_iter().map(Device::from).collect();
    let shape = Shape::of(header);
    longest_context(spec, |context_length| {
        let context = match header.is_embedding() {
            true => ContextSize::for_embedding(context_length),
            false => ContextSize::for_text(context_length, spec.slots),
        };
        check_fit(&shape, &context, spec.gpu_layers, &devices)
    })
}

/// Halves the context length of `spec` until it `fits`.
fn longest_context(spec: &LoadSpec, fits: impl Fn(u32) -> Result<(), String>) -> Result<LoadSpec, String> {
    let mut context_length = spec.context_length;
    loop {
        match fits(context_length) {
            Ok(()) => return Ok(LoadSpec { context_length, ..spec.clone() }),
            Err(reason) if context_length <= spec.context_length_min => return Err(reason),
            Err(_) => context_length = (context_length / 2).max(spec.context_length_min),
        }
    }
}

fn check_fit(
    shape: &Shape,
    context: &ContextSize,
    gpu_layers: u32,
    devices: &[Device],
) -> Result<(), String> {
    let gpus = probe::gpus(devices);
    let free: u64 = gpus.iter().map(|gpu| gpu.memory_free).sum();
    if gpus.is_empty() || gpus.iter().any(|gpu| gpu.memory_total == 0) {
        return Ok(());
    }
    // The output layer counts as one more.
    let all = u32::try_from(shape.layers.len()).unwrap_or(u32::MAX).saturating_add(1);
    let wanted = gpu_layers.min(all);
    let needed = needed_bytes(shape, context, wanted, all);
    if needed <= free {
        return Ok(());
    }
    let fitting_layers = (0..wanted).rev().find(|layers| needed_bytes(shape, context, *layers, all) <= free);
    let names: Vec<&str> = gpus.iter().map(|gpu| gpu.name.as_str()).collect();
    Err(format!(
        "it needs {} of GPU memory for {wanted} of its {all} layers, and {} are free on {}; use a shorter \
         context, fewer slots, or node.gpu_layers = {}",
        ByteSize::b(needed),
        ByteSize::b(free),
        names.join(" and "),
        fitting_layers.unwrap_or(0),
    ))
}

/// GPU memory that `layers` of `all` layers need, in bytes: their share of weights, keys and values, and the compute
/// buffers of one step.
fn needed_bytes(shape: &Shape, context: &ContextSize, layers: u32, all: u32) -> u64 {
    if layers == 0 {
        return 0;
    }
    let prediction = memory::predict(shape, context);
    let part = |bytes: u64| {
        let part = u128::from(bytes) * u128::from(layers) / u128::from(all);
        u64::try_from(part).unwrap_or(u64::MAX)
    };
    part(prediction.weights.saturating_add(prediction.cache)).saturating_add(prediction.compute)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engines::probe::DeviceKind, gguf::Layer};

    const GIB: u64 = 1 << 30;

    /// A model of 8 billion weights in 4 bits, with a context of 8,192 tokens: 1 GiB of keys and values.
    fn model() -> (Shape, ContextSize) {
        let layer = Layer { kv_heads: 8, key_length: 128, value_length: 128, ..Layer::default() };
        let shape = Shape {
            layers: vec![layer; 32],
            embedding_length: 4096,
            feed_forward_length: 14_336,
            vocabulary: 128_256,
            tensor_bytes: 5 * GIB,
            ..Shape::default()
        };
        (shape, ContextSize::for_text(8192, 1))
    }

    fn device(name: &str, kind: DeviceKind, free: u64) -> Device {
        let (description, backend) = (String::new(), String::new());
        let (name, memory_total) = (name.to_owned(), 24 * GIB);
        Device { name, description, backend, kind, memory_total, memory_free: free }
    }

    fn gpu(free: u64) -> Device {
        device("CUDA0", DeviceKind::Gpu, free)
    }

    #[test]
    fn context_is_halved_until_it_fits() {
        let spec = |context_length, context_length_min| LoadSpec {
            path: "m.gguf".into(),
            backends: Vec::new(),
            context_length,
            context_length_min,
            slots: 1,
            threads: 1,
            gpu_layers: 999,
            saved_prefix_bytes: 0,
            prefix_folder: None,
            parse_special_in_user_text: false,
        };
        let up_to =
            |max: u32| move |length: u32| if length <= max { Ok(()) } else { Err("too long".to_owned()) };
        for (wanted, min, max, length) in [
            (32_768, 4096, u32::MAX, Some(32_768)),
            (32_768, 4096, 9000, Some(8192)),
            (10_000, 4096, 4096, Some(4096)),
            (32_768, 4096, 4095, None),
            (8192, 8192, 8191, None),
        ] {
            let spec = longest_context(&spec(wanted, min), up_to(max));
            let fitted = spec.ok().map(|spec| spec.context_length);
            assert_eq!(fitted, length, "{wanted} to {min}, up to {max}");
        }
    }

    #[test]
    fn model_fits_if_the_gpus_have_enough_memory() {
        let (shape, context) = model();
        let cpu = || device("CPU", DeviceKind::Cpu, GIB);
        let integrated = |free| device("Vulkan0", DeviceKind::IntegratedGpu, free);
        let unreported = Device { memory_total: 0, memory_free: 0, ..gpu(0) };
        let cases: [(&[Device], u32, bool); 9] = [
            (&[], 999, true),
            (&[cpu()], 999, true),
            (&[gpu(8 * GIB)], 999, true),
            (&[gpu(6 * GIB)], 999, false),
            (&[gpu(6 * GIB)], 24, true),
            (&[gpu(4 * GIB), gpu(4 * GIB), cpu()], 999, true),
            (&[gpu(4 * GIB), integrated(16 * GIB)], 999, false),
            (&[integrated(16 * GIB)], 999, true),
            (&[unreported], 999, true),
        ];
        for (devices, gpu_layers, expected) in cases {
            let fits = check_fit(&shape, &context, gpu_layers, devices);
            assert_eq!(fits.is_ok(), expected, "{devices:?} {gpu_layers}: {fits:?}");
        }
    }

    #[test]
    fn error_names_the_number_of_layers_that_would_fit() {
        let (shape, context) = model();
        let why = check_fit(&shape, &context, 999, &[gpu(4 * GIB)]).unwrap_err();
        assert!(why.starts_with("it needs 6.") && why.contains("for 33 of its 33 layers"), "{why}");
        assert!(why.contains("4.0 GiB are free on CUDA0"), "{why}");
        let layers: u32 = why.rsplit(' ').next().unwrap().parse().unwrap();
        assert!((16..24).contains(&layers), "{why}");
        assert_eq!(check_fit(&shape, &context, layers, &[gpu(4 * GIB)]), Ok(()));
        assert!(check_fit(&shape, &context, layers + 1, &[gpu(4 * GIB)]).is_err());
        let why = check_fit(&shape, &context, 999, &[gpu(GIB / 64)]).unwrap_err();
        assert!(why.ends_with("node.gpu_layers = 0"), "{why}");
    }
}
