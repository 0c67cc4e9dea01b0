//! What sonic-rs needs to find the shopper features' values in a file of events:
//! `sonic_rs::get_many` (checked) over the same 21 paths, on several threads. The file is in memory
//! and its lines are cut before the clock runs; nothing is made of the values.
//!
//! Usage: `sonic FILE [THREADS]`, by default as many threads as there are cores. Prints seconds, and
//! how many events were read: at `{}` or null where a path leads on, `get_many` gives up, and is
//! then the quicker for it.

use std::hint::black_box;
use std::time::Instant;
use tidewheel_bench::PATHS;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let threads = match arguments.get(1) {
        Some(threads) => threads.parse().ok(),
        None => std::thread::available_parallelism().ok().map(usize::from),
    };
    let (Some(path), Some(threads)) = (arguments.first(), threads) else {
        fail("usage: sonic FILE [THREADS]");
    };
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) => fail(&format!("cannot read '{path}': {error}")),
    };
    let lines: Vec<&[u8]> = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .collect();
    let mut tree = sonic_rs::PointerTree::new();
    for path in PATHS {
        tree.add_path(path.split('.'));
    }
    let share = lines.len().div_ceil(threads.max(1)).max(1);
    let start = Instant::now();
    let read: usize = std::thread::scope(|scope| {
        let tree = &tree;
        let of_share = |lines: &[&[u8]]| {
            let read = lines
                .iter()
                .filter(|line| black_box(sonic_rs::get_many(**line, tree)).is_ok());
            read.count()
        };
        let threads: Vec<_> = lines
            .chunks(share)
            .map(|lines| scope.spawn(move || of_share(lines)))
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .sum()
    });
    println!(
        "{:.4} s, {read} of {} events",
        start.elapsed().as_secs_f64(),
        lines.len()
    );
}

fn fail(message: &str) -> ! {
    eprintln!("{message}");
    std::process::exit(2);
}
