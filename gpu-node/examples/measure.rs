#![allow(clippy::all, clippy::print_stdout, clippy::unwrap_used, clippy::print_stderr)]
use hearth_node::{gguf::Header, memory};
use llama_cpp_2::{
    context::params::LlamaContextParams,
    llama_backend::LlamaBackend,
    llama_batch::LlamaBatch,
    model::{LlamaModel, params::LlamaModelParams},
    token::LlamaToken,
};
use std::num::NonZeroU32;
fn rss(what: &str) -> (u64, u64, u64) {
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    let f = |k: &str| {
        s.lines()
            .find(|l| l.starts_with(k))
            .unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            / 1024
    };
    let r = (f("VmRSS:"), f("RssAnon:"), f("RssFile:"));
    println!("{what}: rss {} anon {} file {} peak {} MiB", r.0, r.1, r.2, f("VmHWM:"));
    r
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let path = std::path::PathBuf::from(&a[1]);
    let (per, slots): (u32, u32) = (a[2].parse().unwrap(), a[3].parse().unwrap());
    let header = Header::read(&path).unwrap();
    let p = memory::predict(
        &header.shape(),
        &memory::ContextSize {
            cells: u64::from(per * slots),
            sequences: slots,
            batch: 512,
            unified: std::env::args().nth(5).is_some(),
            whole_windows: true,
        },
    );
    rss("start");
    let backend = LlamaBackend::init().unwrap();
    let model =
        LlamaModel::load_from_file(&backend, &path, &LlamaModelParams::default().with_n_gpu_layers(999))
            .unwrap();
    rss("model");
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(per * slots))
        .with_n_seq_max(slots)
        .with_n_batch(512)
        .with_kv_unified(a.get(5).is_some())
        .with_n_threads(2)
        .with_n_threads_batch(2);
    let mut ctx = model.new_context(&backend, params).unwrap();
    rss("context");
    let n = 512.min(per) as usize;
    let rounds: u32 = a.get(4).map_or(1, |x| x.parse().unwrap());
    for s in 0..slots {
        for r in 0..rounds {
            let mut b = LlamaBatch::new(512, 1);
            for i in 0..n {
                b.add(
                    LlamaToken(300 + (i as i32 % 100)),
                    (r as usize * n + i) as i32,
                    &[s as i32],
                    i == n - 1,
                )
                .unwrap();
            }
            ctx.decode(&mut b).unwrap();
        }
    }
    rss("decoded");
    let m = |x: u64| x >> 20;
    println!(
        "predicted total {} weights {} cache {} compute {} process {}",
        m(p.total()),
        m(p.weights),
        m(p.cache),
        m(p.compute),
        m(p.process)
    );
}
