//! Objects in a local folder, S3, Google Cloud Storage or Azure.

use crate::direct;
use crate::room::Written;
use crate::storage::{Storage, StorageError};
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    ClientOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
    WriteMultipart,
};
use std::sync::Arc;
use std::time::Duration;

/// Objects larger than this are sent in parts, bytes.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Parts under way at a time.
const PARTS_AT_ONCE: usize = 4;
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request is tried again before it counts as failed.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// A folder or bucket.
pub struct ObjectStorage {
    store: Arc<dyn ObjectStore>,
    /// The same, where it is a folder.
    folder: Option<LocalFileSystem>,
    runtime: tokio::runtime::Runtime,
    place: String,
}

fn failed(error: impl std::fmt::Display) -> StorageError {
    StorageError(error.to_string())
}

impl ObjectStorage {
    /// Opens `location`: a folder (made if it is not there), or a URL `s3://bucket/prefix`,
    /// `gs://bucket/prefix`, `az://container/prefix`. Credentials, endpoint and region come from
    /// the environment as the providers' own tools take them (`AWS_…`, `GOOGLE_…`, `AZURE_…`).
    ///
    /// # Errors
    /// The location makes no sense, or the folder cannot be made.
    pub fn open(location: &str) -> Result<Self, StorageError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("objects")
            .enable_all()
            .build()
            .map_err(failed)?;
        let Some((scheme, rest)) = location.split_once("://") else {
            return Self::folder(location, runtime);
        };
        if scheme == "file" {
            return Self::folder(rest, runtime);
        }
        let client = ClientOptions::new()
            .with_timeout(REQUEST_TIMEOUT)
            .with_connect_timeout(Duration::from_secs(5));
        let retry = RetryConfig {
            max_retries: 4,
            retry_timeout: RETRY_TIMEOUT,
            ..RetryConfig::default()
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let bad = |error: object_store::Error| StorageError(format!("{location}: {error}"));
        let store: Arc<dyn ObjectStore> = match scheme {
            "s3" | "s3a" => {
                let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
                let http = std::env::var("AWS_ALLOW_HTTP").is_ok_and(|value| value == "true");
                let builder = builder
                    .with_client_options(client.with_allow_http(http))
                    .with_retry(retry);
                Arc::new(builder.build().map_err(bad)?)
            }
            "gs" => {
                let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
                let builder = builder.with_client_options(client).with_retry(retry);
                Arc::new(builder.build().map_err(bad)?)
            }
            "az" | "azure" => {
                let builder = MicrosoftAzureBuilder::from_env().with_container_name(bucket);
                let builder = builder.with_client_options(client).with_retry(retry);
                Arc::new(builder.build().map_err(bad)?)
            }
            other => {
                return Err(StorageError(format!(
                    "'{other}://' is not known; give a folder, s3://, gs:// or az://"
                )));
            }
        };
        Ok(Self {
            store: Arc::new(PrefixStore::new(store, prefix)),
            folder: None,
            runtime,
            place: location.to_owned(),
        })
    }

    fn folder(path: &str, runtime: tokio::runtime::Runtime) -> Result<Self, StorageError> {
        let open = || -> Result<LocalFileSystem, String> {
            std::fs::create_dir_all(path).map_err(|error| error.to_string())?;
            let store =
                LocalFileSystem::new_with_prefix(path).map_err(|error| error.to_string())?;
            Ok(store.with_fsync(true))
        };
        let store = open().map_err(|error| {
            StorageError(format!(
                "checkpoints cannot be kept in {path}: {error}; name a folder that can be written"
            ))
        })?;
        Ok(Self {
            store: Arc::new(store.clone()),
            folder: Some(store),
            runtime,
            place: path.to_owned(),
        })
    }

    /// Runs a call to its end, whatever thread this is.
    fn wait<T: Send>(
        &self,
        call: impl Future<Output = object_store::Result<T>> + Send,
    ) -> object_store::Result<T> {
        if tokio::runtime::Handle::try_current().is_err() {
            return self.runtime.block_on(call);
        }
        // A runtime's own thread may not wait: another one does.
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| self.runtime.block_on(call));
            waiter
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Writes an object to a folder past the system's cache. False where that does not go.
    fn put_directly(
        folder: &LocalFileSystem,
        path: &Path,
        parts: &[Vec<u8>],
    ) -> object_store::Result<bool> {
        let path = folder.path_to_filesystem(path)?;
        direct::write(&path, parts).map_err(|error| object_store::Error::Generic {
            store: "folder",
            source: format!("{}: {error}", path.display()).into(),
        })
    }

    /// Writes an object that is made of `parts`; a large one past the system's cache where it may go
    /// `direct`: after a crash it may stand there in part.
    fn put_with(
        &self,
        name: &str,
        parts: Vec<Vec<u8>>,
        mode: PutMode,
        direct: bool,
    ) -> object_store::Result<()> {
        let path = Path::from(name);
        let total: usize = parts.iter().map(Vec::len).sum();
        if let Some(folder) = &self.folder
            && total > PART_BYTES
            && direct
            && Self::put_directly(folder, &path, &parts)?
        {
            parts.into_iter().map(Written::new).for_each(drop);
            return Ok(());
        }
        let owned = |part| Bytes::from_owner(Written::new(part));
        let parts = parts.into_iter().map(owned);
        self.wait(async {
            if total <= PART_BYTES || mode == PutMode::Create {
                let options = PutOptions::from(mode);
                let payload = PutPayload::from_iter(parts);
                self.store.put_opts(&path, payload, options).await?;
                return Ok(());
            }
            let upload = self.store.put_multipart(&path).await?;
            let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
            for mut part in parts {
                while !part.is_empty() {
                    writer.wait_for_capacity(PARTS_AT_ONCE).await?;
                    writer.put(part.split_to(part.len().min(PART_BYTES)));
                }
            }
            writer.finish().await?;
            Ok(())
        })
    }
}

impl Storage for ObjectStorage {
    fn put_parts(&self, name: &str, parts: Vec<Vec<u8>>) -> Result<(), StorageError> {
        self.put_with(name, parts, PutMode::Overwrite, true)
            .map_err(failed)
    }

    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StorageError> {
        self.put_with(name, vec![bytes], PutMode::Overwrite, false)
            .map_err(failed)
    }

    fn put_new(&self, name: &str, bytes: Vec<u8>) -> Result<bool, StorageError> {
        match self.put_with(name, vec![bytes], PutMode::Create, false) {
            Ok(()) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let path = Path::from(name);
        let read = self.wait(async { self.store.get(&path).await?.bytes().await });
        match read {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, StorageError> {
        // Stores list by folder; the last part of a prefix may be half a name.
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let folder = Path::from(folder);
        let objects = self
            .wait(async {
                let list = self.store.list(Some(&folder));
                list.try_collect::<Vec<_>>().await
            })
            .map_err(failed)?;
        let mut names: Vec<(String, u64)> = objects
            .into_iter()
            .map(|object| (object.location.to_string(), object.size))
            .filter(|(name, _)| name.starts_with(prefix))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn delete(&self, name: &str) -> Result<(), StorageError> {
        let path = Path::from(name);
        match self.wait(async { self.store.delete(&path).await }) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}
