//! Answers while the store takes no writes. A provider's answer doesn't wait for its record while the store's writer
//! is less than 50 ms behind; beyond that it does, so that no record of a delivered answer is lost.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    time::{interval, sleep, timeout},
};

use super::{Bench, HEARTH, Part, client::Connection, plan::WHOLE, subject::Subject};
use crate::{
    statistics::percentile,
    table::{Goal, Row},
};

/// Time for late records, from the end of the lock.
const RECORD_GRACE: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Time that answers may wait beyond the lock: the store's writer retries at intervals.
const RELEASE_MS: f64 = 500.0;
/// Records that are looked for.
const SAMPLES: usize = 20;

/// Takes SQLite's lock for writing, says so, and holds it until its standard input ends.
const HOLD: &str = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
db.execute('BEGIN IMMEDIATE')
print('held', flush=True)
sys.stdin.read()
db.execute('ROLLBACK')
";

pub(super) async fn held_up_store(bench: &mut Bench) -> Result<()> {
    if !bench.measures(Part::Stall) {
        return Ok(());
    }
    eprintln!("stall: the store takes no writes for {} ms", bench.plan.stall.as_millis());
    let hearth = &bench.subjects[HEARTH];
    let stall = bench.plan.stall;
    let (before, _) = ask_for(hearth, stall).await?;
    let lock = Lock::take(&bench.home.database()).await?;
    let release = async {
        sleep(stall).await;
        lock.release().await
    };
    let ((times, ids), ()) = try_join(ask_for(hearth, stall + stall / 2), release).await?;
    let late = records(hearth, &ids).await.context("after the store was held up")?;
    let row = |percent: f64| {
        let (held, free) = (percentile(&times, percent), percentile(&before, percent));
        Row::difference(format!("store held up, p{percent:.0}, to the same without"), "ms", &[held], &[free])
    };
    bench.goals.push(row(50.0));
    let slowest = Goal::AtMost(stall.as_secs_f64() * 1000.0 + RELEASE_MS);
    bench.goals.push(row(100.0).goal(slowest));
    let row = Row::alone("records there after it, of those looked for", "%", &[late]);
    bench.goals.push(row.goal(Goal::AtLeast(100.0)));
    Ok(())
}

/// Asks with one connection for so long; gives the times in milliseconds, and the ids.
async fn ask_for(hearth: &Subject, long: Duration) -> Result<(Vec<f64>, Vec<String>)> {
    let ask = hearth.address.ask(WHOLE)?;
    let mut connection = Connection::open(&hearth.address).await?;
    connection.ask(&ask).await?;
    let (mut times, mut ids, began) = (Vec::new(), Vec::new(), Instant::now());
    while began.elapsed() < long {
        let answer = connection.ask(&ask).await?;
        times.push(answer.took.as_secs_f64() * 1000.0);
        ids.push(answer.id.context("an answer has no id")?);
    }
    Ok((times, ids))
}

/// Percentage of the runs that have a complete record, after waiting for late ones.
async fn records(hearth: &Subject, ids: &[String]) -> Result<f64> {
    let http = crate::client::http()?;
    let each = (ids.len() / SAMPLES).max(1);
    let (mut looks, mut found, mut looked) = (interval(POLL_INTERVAL), 0, 0);
    for id in ids.iter().step_by(each) {
        looked += 1;
        let began = Instant::now();
        while began.elapsed() < RECORD_GRACE {
            let mut request = http.get(format!("http://{}/v1/requests/{id}", hearth.address.at));
            for (name, value) in &hearth.address.headers {
                request = request.header(*name, value);
            }
            let run: Value = request.send().await?.json().await?;
            if run["status"] == "completed" {
                found += 1;
                break;
            }
            looks.tick().await;
        }
    }
    Ok(f64::from(found) / f64::from(looked) * 100.0)
}

/// A process that holds the database's lock.
struct Lock {
    child: Child,
    /// Its end is the lock's.
    held: ChildStdin,
}

impl Lock {
    async fn take(database: &Path) -> Result<Self> {
        let mut command = Command::new("python3");
        command
            .args(["-c", HOLD])
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().context("python3 can't be started")?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut lines = BufReader::new(output.context("python3 has no stdout")?).lines();
        let line =
            timeout(RECORD_GRACE, lines.next_line()).await.context("the store's lock can't be had")??;
        ensure!(line.as_deref() == Some("held"), "the store's lock can't be had");
        Ok(Self { child, held: input.context("python3 has no stdin")? })
    }

    async fn release(mut self) -> Result<()> {
        drop(self.held);
        ensure!(self.child.wait().await?.success(), "the store's lock wasn't released");
        Ok(())
    }
}
