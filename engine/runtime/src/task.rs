//! Tasks and the executors that run them: a thread each in production, all on one thread in an
//! order chosen by a seed in simulation.
//!
//! A task never blocks but in [`Task::wait`] and in sends to a full channel, and channels of a
//! simulated run are never full, so the very same tasks run under both executors.

use crossbeam_channel::{Receiver, Select, Sender, bounded, unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a task says after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poll {
    /// It did something and may have more to do.
    Ready,
    /// Nothing to do until a message comes, or for that long.
    Idle(Option<Duration>),
    /// It is finished and is not called again.
    Done,
}

/// A part of the running engine.
pub trait Task: Send {
    /// Does one bounded piece of work.
    fn poll(&mut self) -> Poll;
    /// Blocks until a message is there or the time is over.
    fn wait(&self, timeout: Option<Duration>);
    /// Its name, for threads and logs.
    fn name(&self) -> String;
}

/// Waits until `inbox` has a message (or has lost all its senders), at most for `timeout`.
pub fn wait_for<T>(inbox: &Receiver<T>, timeout: Option<Duration>) {
    let mut select = Select::new();
    select.recv(inbox);
    match timeout {
        Some(timeout) => {
            let _ = select.ready_timeout(timeout);
        }
        None => {
            select.ready();
        }
    }
}

/// Waits until one of two channels has a message, at most for `timeout`. A channel that has lost
/// its senders does not count, unless both have.
pub fn wait_for_either<A, B>(a: &Receiver<A>, b: &Receiver<B>, timeout: Option<Duration>) {
    let mut select = Select::new();
    select.recv(a);
    select.recv(b);
    // A channel without senders is always ready: then this returns at once, and the caller's own
    // idea of what to do next decides; a short pause keeps it from spinning.
    let start = std::time::Instant::now();
    match timeout {
        Some(timeout) => {
            let _ = select.ready_timeout(timeout);
        }
        None => {
            select.ready();
        }
    }
    if a.is_empty() && b.is_empty() && start.elapsed() < Duration::from_micros(50) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Starts tasks and makes their channels.
pub trait Executor: Send + Sync {
    /// A channel of at most `capacity` waiting messages.
    fn capacity(&self, capacity: usize) -> Option<usize>;
    /// Starts a task.
    fn spawn(&self, task: Box<dyn Task>);
}

/// A channel as the executor wants it.
pub fn channel<T>(executor: &dyn Executor, capacity: usize) -> (Sender<T>, Receiver<T>) {
    match executor.capacity(capacity) {
        Some(capacity) => bounded(capacity),
        None => unbounded(),
    }
}

/// One thread for each task.
#[derive(Default)]
pub struct Threads {
    handles: parking_lot::Mutex<Vec<JoinHandle<()>>>,
    failed: Arc<AtomicBool>,
}

impl Threads {
    /// Waits until every task is done. Returns false when one ended by a panic.
    pub fn join(&self) -> bool {
        let mut fine = true;
        loop {
            let Some(handle) = self.handles.lock().pop() else {
                break;
            };
            fine &= handle.join().is_ok();
        }
        fine && !self.failed.load(Ordering::Relaxed)
    }

    /// True once every task is done.
    pub fn is_finished(&self) -> bool {
        self.handles.lock().iter().all(JoinHandle::is_finished)
    }
}

impl Executor for Threads {
    fn capacity(&self, capacity: usize) -> Option<usize> {
        Some(capacity)
    }

    fn spawn(&self, mut task: Box<dyn Task>) {
        let name = task.name();
        let handle = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || {
                loop {
                    match task.poll() {
                        Poll::Ready => {}
                        Poll::Idle(timeout) => task.wait(timeout),
                        Poll::Done => break,
                    }
                }
            });
        match handle {
            Ok(handle) => self.handles.lock().push(handle),
            Err(error) => {
                tracing::error!(task = name, %error, "a thread could not be started");
                self.failed.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// All tasks on the caller's thread, the next one chosen at random by a seed.
pub struct Simulation {
    tasks: parking_lot::Mutex<Vec<Box<dyn Task>>>,
    random: parking_lot::Mutex<fastrand::Rng>,
}

impl Simulation {
    /// An empty simulation.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            tasks: parking_lot::Mutex::default(),
            random: parking_lot::Mutex::new(fastrand::Rng::with_seed(seed)),
        }
    }

    /// The names of the tasks that are not done.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.tasks.lock().iter().map(|task| task.name()).collect()
    }

    /// Drops all tasks where they are, as a crash does.
    pub fn crash(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock());
        drop(tasks);
    }

    /// Does up to `steps` steps. `pass` is called with the shortest time that any task wants to
    /// wait when none has anything to do, and must move the environment's clock on by it. Returns
    /// true when all tasks are done.
    pub fn run(&self, steps: usize, mut pass: impl FnMut(Duration)) -> bool {
        const LONGEST_WAIT: Duration = Duration::from_secs(1);
        let mut idle: Vec<bool> = Vec::new();
        let mut shortest = LONGEST_WAIT;
        for _ in 0..steps {
            let mut tasks = self.tasks.lock();
            if tasks.is_empty() {
                return true;
            }
            idle.resize(tasks.len(), false);
            let waiting: Vec<usize> = (0..tasks.len()).filter(|i| !idle[*i]).collect();
            if waiting.is_empty() {
                drop(tasks);
                pass(shortest.max(Duration::from_micros(100)));
                idle.clear();
                shortest = LONGEST_WAIT;
                continue;
            }
            let chosen = waiting[self.random.lock().usize(..waiting.len())];
            let mut task = tasks.swap_remove(chosen);
            idle.swap_remove(chosen);
            drop(tasks);
            match task.poll() {
                Poll::Ready => {
                    // Its messages may have woken any other task.
                    idle.fill(false);
                    idle.push(false);
                    self.tasks.lock().push(task);
                }
                Poll::Idle(timeout) => {
                    shortest = shortest.min(timeout.unwrap_or(LONGEST_WAIT));
                    idle.push(true);
                    self.tasks.lock().push(task);
                }
                Poll::Done => idle.fill(false),
            }
        }
        self.tasks.lock().is_empty()
    }
}

impl Executor for Simulation {
    fn capacity(&self, _: usize) -> Option<usize> {
        None
    }

    fn spawn(&self, task: Box<dyn Task>) {
        self.tasks.lock().push(task);
    }
}
