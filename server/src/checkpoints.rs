//! How a process gets the right to write, and where its checkpoints go.

use crate::config::Config;
use crate::error::CliError;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidewheel_checkpoint::lease::{Look, Owner, Watch};
use tidewheel_checkpoint::{CheckpointStore, Lease, ObjectStorage};
use tidewheel_runtime::checkpoint::checkpointer::CheckpointOptions;

/// How often a standby looks at the process that runs.
const LOOK: Duration = Duration::from_millis(250);
/// How long after a failed look at the store the next one is.
const AWAY: Duration = Duration::from_secs(2);

/// The process that writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// Its name.
    pub by: String,
    /// Its epoch.
    pub epoch: u64,
}

/// What the command line says about checkpoints.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct CheckpointArgs {
    /// Keep checkpoints there, and go on from the newest: a folder, `s3://bucket/prefix`,
    /// `gs://…` or `az://…`. Default: none are kept.
    #[arg(long = "checkpoints", value_name = "WHERE")]
    pub location: Option<String>,
    /// The name of the pipeline; of several processes with one name, one writes and the others
    /// wait for its end. Default: tidewheel.
    #[arg(long, value_name = "NAME")]
    pub pipeline: Option<String>,
    /// From one checkpoint to the next; default: 10 s.
    #[arg(long = "checkpoint-interval", value_name = "TIME")]
    pub interval: Option<String>,
    /// How many checkpoints are kept; default: 3.
    #[arg(long = "checkpoints-kept", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub keep: Option<u16>,
}

impl CheckpointArgs {
    /// The settings that these flags give: setting, flag, value.
    pub(crate) fn flags(&self) -> Vec<(&'static str, &'static str, String)> {
        let keep = self.keep.map(|keep| keep.to_string());
        [
            (
                "checkpoints.location",
                "--checkpoints",
                self.location.clone(),
            ),
            ("checkpoints.pipeline", "--pipeline", self.pipeline.clone()),
            (
                "checkpoints.interval",
                "--checkpoint-interval",
                self.interval.clone(),
            ),
            ("checkpoints.keep", "--checkpoints-kept", keep),
        ]
        .into_iter()
        .filter_map(|(key, flag, value)| Some((key, flag, value?)))
        .collect()
    }
}

/// Opens the store that the settings name, and waits until this process may write. `None`: no
/// checkpoints are wanted, or `stopped` said that the process is to end. `held` is told who writes
/// meanwhile.
///
/// # Errors
/// The store cannot be opened, or the pipeline's name cannot be used.
pub(crate) fn begin(
    config: &Config,
    stopped: impl Fn() -> bool,
    held: impl Fn(Held),
) -> Result<Option<CheckpointOptions>, CliError> {
    let location = config.text("checkpoints.location");
    if location.is_empty() {
        return Ok(None);
    }
    let pipeline = config.text("checkpoints.pipeline");
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if pipeline.is_empty() || pipeline.starts_with('.') || !pipeline.chars().all(fine) {
        return Err(CliError::Usage(format!(
            "'{pipeline}' is no pipeline's name; write letters, digits, '-', '_' and '.'"
        )));
    }
    let failed = |error| CliError::Other(format!("checkpoints in {location}: {error}"));
    let storage = Arc::new(ObjectStorage::open(location).map_err(failed)?);
    let folder = location.strip_prefix("file://").unwrap_or(location);
    if !folder.contains("://") {
        try_writing(folder, pipeline)?;
    }
    let store = CheckpointStore::new(storage, pipeline);
    let Some(lease) = wait_for_lease(&store, stopped, held) else {
        return Ok(None);
    };
    let mut options = CheckpointOptions::new(store, lease);
    options.interval = config.duration("checkpoints.interval");
    options.keep = config.count("checkpoints.keep");
    Ok(Some(options))
}

/// A folder may be there and yet be another one's. A store that is only away would be waited for.
fn try_writing(folder: &str, pipeline: &str) -> Result<(), CliError> {
    let own = Path::new(folder).join(pipeline);
    let place = if own.is_dir() {
        &*own
    } else {
        Path::new(folder)
    };
    let path = place.join(format!(".writable-{}", std::process::id()));
    let written = File::create(&path).and_then(|_| std::fs::remove_file(&path));
    match written.map_err(|error| (error.kind(), error)) {
        Err((ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem, error)) => {
            let place = place.display();
            Err(CliError::Other(format!(
                "checkpoints in {place}: {error}; name a folder that can be written"
            )))
        }
        _ => Ok(()),
    }
}

fn wait_for_lease(
    store: &CheckpointStore,
    stopped: impl Fn() -> bool,
    held: impl Fn(Held),
) -> Option<Lease> {
    let here = Owner::this();
    let mut watch = Watch::default();
    let begin = Instant::now();
    let (mut waiting, mut away) = (false, false);
    while !stopped() {
        let look = watch.look(store, &here, begin.elapsed());
        let claimed = match look {
            Ok(Look::Free(epoch)) => Lease::claim_after(store, here.clone(), epoch),
            Ok(Look::Held { by, epoch }) => {
                if !std::mem::replace(&mut waiting, true) {
                    let pipeline = store.pipeline();
                    tracing::warn!(
                        pipeline,
                        %by,
                        epoch,
                        "another process runs this pipeline; this one waits for its end"
                    );
                }
                held(Held { by, epoch });
                std::thread::sleep(LOOK);
                continue;
            }
            Err(error) => Err(error),
        };
        match claimed {
            Ok(Some(lease)) => {
                if waiting {
                    tracing::warn!(epoch = lease.epoch(), "takes over");
                }
                return Some(lease);
            }
            Ok(None) => {}
            Err(error) => {
                if !std::mem::replace(&mut away, true) {
                    let place = store.storage().place();
                    tracing::error!(place, %error, "the checkpoint store is away; waiting for it");
                }
                std::thread::sleep(AWAY);
            }
        }
    }
    None
}
