//! The service is killed, `kill -9`, again and again while events flow, queries come and go over
//! REST and history is read. In the end each query holds what one run of it over the whole log
//! computes.
//!
//! `TIDEWHEEL_KILLS` says how often it is killed, `TIDEWHEEL_SEED` which run it is.

mod support_live;
mod support_service;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support_live::{Running1, SHAPES, compile, environment, query, source, values, write};
use support_service::{Service, Start};
use tidewheel_runtime::{RunOptions, Running};

/// Kills that the test deals out.
const KILLS: usize = 12;
/// How long the service may take to come to rest in the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Queries at one time.
const QUERIES_MAX: usize = 6;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

/// Stops the writer, also when the test fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn start(folder: &Arc<tempfile::TempDir>) -> Service {
    Start::default()
        .with(&["--checkpoints", "state", "--checkpoint-interval", "100 ms"])
        .serve(folder)
}

/// What the folder's files say: each query, by the text that it was made of.
fn queries(folder: &Path, known: &BTreeMap<String, Running1>) -> Vec<Running1> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder.join("queries")).expect("reads") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("reads");
        if !path.ends_with("events.sql") {
            found.push(known[text.trim()].clone());
        }
    }
    found.sort();
    found
}

/// Changes something over REST. The service may be killed meanwhile, so no answer is waited for.
fn change(url: &str, method: &str, path: &str, body: &str) {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .new_agent();
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{url}/api/v1/queries{path}"))
        .header("if-match", "*")
        .body(body.to_owned())
        .expect("a request");
    let _ = agent.run(request);
}

#[test]
fn killed_while_queries_come_and_go_it_ends_as_one_run_over_the_log() {
    let seed = number("TIDEWHEEL_SEED").unwrap_or_else(|| fastrand::u64(..));
    let kills = number("TIDEWHEEL_KILLS").map_or(KILLS, |kills| kills as usize);
    println!("seed {seed}");
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let (log, store) = (folder.path().join("log"), folder.path().join("store"));
    std::fs::create_dir(folder.path().join("queries")).expect("makes");
    let events = folder.path().join("queries/events.sql");
    std::fs::write(events, source(&log, false)).expect("writes");
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut known = BTreeMap::new();
    let mut names = BTreeSet::new();
    std::thread::scope(|scope| {
        scope.spawn(|| write(&log, seed, &stop, &written));
        let _stops = StopOnDrop(&stop);
        while written.load(Ordering::Relaxed) < 10_000 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut changes = 0;
        for _ in 0..kills {
            let service = start(&folder);
            let until = Instant::now() + Duration::from_millis(random.u64(1..1_500));
            let url = service.url.clone();
            let mut sent = Vec::new();
            while Instant::now() < until {
                changes += 1;
                let shape = random.usize(..SHAPES.len());
                let old = (!names.is_empty()).then(|| random.usize(..names.len()));
                let old = old.and_then(|at| names.iter().nth(at).cloned());
                let is_full = names.len() >= QUERIES_MAX;
                let (method, name) = match (random.u8(..3), old) {
                    (0, Some(old)) => ("PUT", old),
                    (1, Some(old)) if is_full => ("DELETE", old),
                    (_, Some(old)) if is_full => ("PUT", old),
                    _ => ("POST", format!("q{changes}")),
                };
                let one = (name.clone(), shape, changes);
                let text = query(&store, &one);
                known.insert(text.trim().to_owned(), one);
                let path = match method {
                    "POST" => format!("?name={name}"),
                    _ => format!("/{name}"),
                };
                if method == "DELETE" {
                    names.remove(&name);
                } else {
                    names.insert(name);
                }
                let url = url.clone();
                // It may be on its way when the service is killed.
                sent.push(scope.spawn(move || change(&url, method, &path, &text)));
                let pause = random.u64(..600);
                let left = until.saturating_duration_since(Instant::now());
                std::thread::sleep(left.min(Duration::from_millis(pause)));
            }
            // `kill -9`.
            drop(service);
            for one in sent {
                one.join().expect("no panic");
            }
        }
    });
    let written = written.load(Ordering::Relaxed);
    let queries = queries(folder.path(), &known);
    println!("{kills} kills, {written} events, {queries:?}");
    assert!(!queries.is_empty());
    let reference = folder.path().join("reference");
    let env = environment();
    let program = compile(&log, &reference, &queries, true);
    let whole = Running::start(&program, &env, &RunOptions::default()).expect("starts");
    whole.wait().expect("ends");
    let want = values(&reference, &queries, &env);
    assert!(!want.is_empty());
    let service = start(&folder);
    let begin = Instant::now();
    loop {
        let got = values(&store, &queries, &env);
        if got == want {
            break;
        }
        if begin.elapsed() > PATIENCE {
            let keys: BTreeSet<&String> = got.keys().chain(want.keys()).collect();
            let wrong: Vec<_> = keys
                .into_iter()
                .filter(|key| got.get(*key) != want.get(*key))
                .collect();
            let shown = wrong.iter().take(12);
            let shown = shown.map(|key| (key, got.get(*key), want.get(*key)));
            panic!(
                "seed {seed}: {} of {} values differ (found, wanted): {:#?}\n{queries:?}\n{}",
                wrong.len(),
                want.len(),
                shown.collect::<Vec<_>>(),
                service.log()
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("{} values alike after {:?}", want.len(), begin.elapsed());
}
