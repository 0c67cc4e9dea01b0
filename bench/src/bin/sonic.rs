//! The rate at which sonic-rs finds the shopper features' values: `sonic_rs::get_many` (checked)
//! over the 21 paths, on several threads, each over events of its own that are in memory with
//! their lines cut. Nothing is made of the values.
//!
//! The events are those of `decode`, not a simulated file's: at `{}` or null where a path leads
//! on, `get_many` gives up. Usage: `sonic [EVENTS] [THREADS]`, by default as many threads as there
//! are cores. Prints seconds for all events, by the wall clock.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;
use tidewheel_bench::PATHS;

/// Events that are read, of all threads.
const EVENTS: usize = 400_000;

fn main() {
    let number = |at: usize| std::env::args().nth(at)?.parse::<usize>().ok();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = number(2).unwrap_or(cores).max(1);
    let each = number(1).unwrap_or(EVENTS).div_ceil(threads).max(1);
    let mut tree = sonic_rs::PointerTree::new();
    for path in PATHS {
        tree.add_path(path.split('.'));
    }
    let (ready, done) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    let seconds = std::thread::scope(|scope| {
        for thread in 0..threads {
            let (tree, ready, done) = (&tree, &ready, &done);
            scope.spawn(move || {
                let lines = events(thread as u64, each);
                ready.wait();
                for line in &lines {
                    let values = black_box(sonic_rs::get_many(line.as_slice(), tree));
                    assert!(values.is_ok(), "an event was not read");
                }
                done.wait();
            });
        }
        ready.wait();
        let start = Instant::now();
        done.wait();
        start.elapsed().as_secs_f64()
    });
    println!("{seconds:.4}");
}

/// Events in the shape of the topic, of every type.
fn events(seed: u64, count: usize) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut event = |number: usize| {
        let mut line = Vec::new();
        tidewheel_bench::event::write(&mut line, &mut random, number as u64);
        line
    };
    (0..count).map(&mut event).collect()
}
