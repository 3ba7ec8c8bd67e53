//! The worker's side of the socket: loads the model, hands runs to the painter's thread, and reports signs of life.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use candle_core::Device;
use hearth_domain::RunId;
use hearth_wire::{ApiError, ErrorCode, node::NodeTokenCount};
use hearth_worker::{
    checkpoint::{Checkpoint, Layout},
    frames::{Command, FrameError, FrameReader, LoadSpec, ModelProperties, Report, WorkerStats},
    socket::{WorkerError, accept_load, collect_early, write_bounded_reports},
};
use tokio::{sync::mpsc as async_mpsc, time::MissedTickBehavior};

use crate::{
    model::ImageModel,
    painter::{self, PictureRun},
};

/// Interval of reports: of a load's progress, and of signs of life while a picture is being made. A step may take minutes.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Reports that wait for the supervisor: pieces of a picture of 192 KiB, at most. Then the painter's thread waits.
const REPORTS_MAX_COUNT: usize = 16;

/// Runs a worker until its supervisor hangs up.
///
/// # Errors
/// If the socket fails, or the supervisor breaks the protocol. A failed load is reported to the supervisor, and is no error
/// here.
pub(crate) async fn run() -> Result<(), WorkerError> {
    let (spec, mut commands, reports) = accept_load().await?;
    let (report, outbox) = async_mpsc::channel(REPORTS_MAX_COUNT);
    let writer = tokio::spawn(write_bounded_reports(reports, outbox));
    let mut early = Vec::new();
    // The supervisor may hang up while the model is still loading.
    let loaded = tokio::select! {
        loaded = load(&spec, &report) => loaded,
        () = collect_early(&mut commands, &mut early) => return Ok(()),
    };
    match loaded {
        Ok(model) => {
            let _ = report.send(Report::Ready(ModelProperties::default())).await;
            Ok(Worker::new(model, report).serve(early, commands).await?)
        }
        Err(reason) => {
            let _ = report.send(Report::LoadFailed { reason }).await;
            drop(report);
            // Send the last report before the process ends.
            let _ = writer.await;
            Ok(())
        }
    }
}

/// Loads the model on a thread, and reports the progress.
async fn load(spec: &LoadSpec, report: &async_mpsc::Sender<Report>) -> Result<ImageModel, String> {
    let (path, on_gpu, read) = (spec.path.clone(), spec.gpu_layers > 0, Arc::new(AtomicU64::new(0)));
    let total = weight_bytes(&path);
    let counter = Arc::clone(&read);
    let mut loading = tokio::task::spawn_blocking(move || ImageModel::load(&path, &device(on_gpu), &counter));
    let mut ticks = tokio::time::interval(REPORT_INTERVAL);
    loop {
        tokio::select! {
            loaded = &mut loading => {
                return loaded.unwrap_or_else(|_| Err("the engine failed while it read the model".to_owned()));
            }
            _ = ticks.tick() => {
                let progress = read.load(Ordering::Relaxed) as f32 / total.max(1) as f32;
                // One that doesn't fit is followed by the next.
                let _ = report.try_send(Report::Progress { progress: progress.min(1.0) });
            }
        }
    }
}

/// Bytes of the files that a load reads, for its progress.
fn weight_bytes(path: &Path) -> u64 {
    let Ok(checkpoint) = Checkpoint::read(path) else { return 0 };
    let files = match checkpoint.layout {
        Layout::SingleFile(file) => vec![file],
        Layout::Folder(folder) => ["unet", "vae", "text_encoder", "text_encoder_2"]
            .iter()
            .filter_map(|network| hearth_worker::checkpoint::weights_of(&folder, network))
            .collect(),
        Layout::Flux(_) => checkpoint.files,
    };
    files.iter().filter_map(|file| fs::metadata(file).ok()).map(|metadata| metadata.len()).sum()
}

/// The device that computes: a GPU if the build has its backend, the settings allow it, and there is one.
fn device(on_gpu: bool) -> Device {
    if on_gpu {
        for gpu in [Device::cuda_if_available(0), Device::metal_if_available(0)] {
            match gpu {
                Ok(device) if !device.is_cpu() => return device,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the GPU can't be used; the processor computes"),
            }
        }
    }
    Device::Cpu
}

struct Worker {
    work: mpsc::Sender<PictureRun>,
    report: async_mpsc::Sender<Report>,
    /// The runs that haven't ended.
    open: HashMap<RunId, Arc<AtomicBool>>,
    ended: async_mpsc::UnboundedReceiver<RunId>,
}

impl Worker {
    fn new(model: ImageModel, report: async_mpsc::Sender<Report>) -> Self {
        let (work, inbox) = mpsc::channel();
        let (painted, mut results) = async_mpsc::channel::<Report>(1);
        // A number for each run that the supervisor has sent.
        let (end, ended) = async_mpsc::unbounded_channel();
        std::thread::spawn(move || painter::paint_all(&model, &inbox, &painted));
        let reports = report.clone();
        tokio::spawn(async move {
            while let Some(result) = results.recv().await {
                if let Report::Finished { run, .. } | Report::Failed { run, .. } = &result {
                    let _ = end.send(*run);
                }
                let _ = reports.send(result).await;
            }
        });
        Self { work, report, open: HashMap::new(), ended }
    }

    /// Handles the `early` commands, then `commands` until the supervisor hangs up.
    async fn serve(mut self, early: Vec<Command>, mut commands: FrameReader) -> Result<(), FrameError> {
        for command in early {
            self.handle(command).await;
        }
        let mut ticks = tokio::time::interval(REPORT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = commands.next() => match command? {
                    Some(command) => self.handle(command).await,
                    None => return Ok(()),
                },
                Some(run) = self.ended.recv() => drop(self.open.remove(&run)),
                _ = ticks.tick(), if !self.open.is_empty() => {
                    // While reports wait, they are the signs of life.
                    let _ = self.report.try_send(Report::Alive(WorkerStats::default()));
                }
            }
        }
    }

    async fn handle(&mut self, command: Command) {
        match command {
            Command::Load(_) => tracing::warn!("a second load was ignored"),
            Command::Run { run, task, .. } => {
                let cancelled = Arc::new(AtomicBool::new(false));
                self.open.insert(run, Arc::clone(&cancelled));
                if self.work.send(PictureRun { run, task, cancelled }).is_err() {
                    tracing::error!("the painter's thread is gone");
                    std::process::exit(70);
                }
            }
            Command::Cancel { run } => {
                if let Some(cancelled) = self.open.get(&run) {
                    cancelled.store(true, Ordering::Relaxed);
                }
            }
            Command::Count { request, .. } => {
                let message = "the model makes images; tokens are counted by a text model";
                let error = Some(ApiError::new(ErrorCode::InvalidRequest, message).at("model"));
                let counted = Report::Counted { request, count: NodeTokenCount::default(), error };
                let _ = self.report.send(counted).await;
            }
        }
    }
}
