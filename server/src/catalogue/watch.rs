//! Watching the folder: the file system's events, and a look each second for mounts without them.

use super::{Catalogue, folder};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use notify::{RecursiveMode, Watcher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// A folder must look the same twice before it is taken over, this long apart: editors write a
/// file in several steps.
const SETTLE: Duration = Duration::from_millis(50);
/// The longest that a folder in motion is waited for.
const SETTLE_LOOKS_MAX: u32 = 10;

/// Watches until `stop`; the thread ends with the program.
pub(crate) fn start(catalogue: &Arc<Catalogue>, poll: Duration, stop: &Arc<AtomicBool>) {
    let (events, woken) = bounded(1);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the files is an event too, and must not lead to the next look.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            let _ = events.try_send(());
        }
    });
    let watcher = watcher.and_then(|mut watcher| {
        watcher.watch(catalogue.folder(), RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    if let Err(error) = &watcher {
        tracing::info!(%error, "no events of the file system; the folder is looked at instead");
    }
    let (catalogue, stop) = (Arc::clone(catalogue), Arc::clone(stop));
    std::thread::spawn(move || {
        let _watcher = watcher;
        watch(&catalogue, &woken, poll, &stop);
    });
}

fn watch(catalogue: &Catalogue, woken: &Receiver<()>, poll: Duration, stop: &AtomicBool) {
    let mut lost = false;
    while !stop.load(Relaxed) {
        match woken.recv_timeout(poll) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(poll),
        }
        let mut found = match folder::read(catalogue.folder()) {
            Ok(found) => found,
            Err(error) => {
                if !std::mem::replace(&mut lost, true) {
                    let folder = catalogue.folder().display().to_string();
                    tracing::error!(folder, %error, "the folder cannot be read; what runs goes on");
                }
                continue;
            }
        };
        if std::mem::take(&mut lost) {
            tracing::info!("the folder is there again");
        }
        if !catalogue.differs(&found) {
            continue;
        }
        for _ in 0..SETTLE_LOOKS_MAX {
            std::thread::sleep(SETTLE);
            let Ok(again) = folder::read(catalogue.folder()) else {
                break;
            };
            if again == found {
                break;
            }
            found = again;
        }
        if !stop.load(Relaxed) {
            catalogue.reload();
        }
    }
}
