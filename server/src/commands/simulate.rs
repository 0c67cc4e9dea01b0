//! `tidewheel simulate`.

use crate::cli::{LineFormatArg, ShapeArg, SimulateArgs};
use crate::error::CliError;
use crate::signal::Stop;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tidewheel_connectors::kafka::KafkaWriter;
use tidewheel_connectors::log::{LogConfig, LogWriter, Record};
use tidewheel_core::Options;
use tidewheel_simulator::{LineFormat, Shape, Simulator, SimulatorConfig};

/// Lines that are written together at full speed.
const LINES_AT_ONCE: usize = 512;
/// How long to wait for the last acknowledgements.
const FLUSH: Duration = Duration::from_secs(30);
/// How long to sleep at most while pacing.
const PACE: Duration = Duration::from_millis(2);

/// Writes simulated events until enough are written, or a signal.
pub(crate) fn simulate(args: &SimulateArgs) -> Result<(), CliError> {
    let paced = args.rate > 0.0;
    let defaults = SimulatorConfig::default();
    let config = SimulatorConfig {
        seed: args.seed,
        shoppers: args.shoppers,
        products: args.products,
        start_ms: args
            .start
            .unwrap_or(if paced { wall_ms() } else { defaults.start_ms }),
        events_per_second: args.per_second.unwrap_or(if paced {
            args.rate
        } else {
            defaults.events_per_second
        }),
        disorder_ms: args.disorder,
        repeat: args.repeats,
        late: args.late,
        future: args.future,
        broken: args.broken,
        untidy: args.untidy,
        shape: match args.shape {
            ShapeArg::Today => Shape::Today,
            ShapeArg::Older => Shape::Older,
        },
        format: match args.format {
            LineFormatArg::Json => LineFormat::Json,
            LineFormatArg::Tsv => LineFormat::Tsv,
        },
        lean: args.lean,
        ..defaults
    };
    let mut simulator =
        Simulator::new(config).map_err(|error| CliError::Usage(error.to_string()))?;
    let mut output = Output::open(&args.out)?;
    let stop = Stop::listen();
    let mut left = args.events.unwrap_or(u64::MAX);
    let begin = std::time::Instant::now();
    let mut written = 0_u64;
    let mut batch = Batch::default();
    while left > 0 && stop.count() == 0 {
        batch.clear();
        let mut wanted = left.min(LINES_AT_ONCE as u64);
        if paced {
            let due = (begin.elapsed().as_secs_f64() * args.rate) as u64;
            wanted = wanted.min(due.saturating_sub(written));
            if wanted == 0 {
                std::thread::sleep(PACE);
                continue;
            }
        }
        for _ in 0..wanted {
            batch.push(&mut simulator);
        }
        match output.write(&batch) {
            Err(CliError::Io { error, .. }) if error.kind() == ErrorKind::BrokenPipe => {
                return Ok(());
            }
            result => result?,
        }
        left -= wanted;
        written += wanted;
    }
    output.finish()
}

fn wall_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |passed| {
            i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
        })
}

/// Lines that are written together.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: Vec<(usize, usize, i64, u32)>,
}

impl Batch {
    fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
    }

    fn push(&mut self, simulator: &mut Simulator) {
        let start = self.bytes.len();
        let line = simulator.write_next(&mut self.bytes);
        self.lines
            .push((start, self.bytes.len(), line.arrival_ms, line.shopper));
        self.bytes.push(b'\n');
    }
}

/// Where the lines go.
enum Output {
    Stream(Box<dyn Write>, String),
    Log(Box<LogWriter>),
    Kafka(Box<KafkaWriter>),
}

impl Output {
    fn open(place: &str) -> Result<Self, CliError> {
        if place == "-" {
            let stdout = Box::new(BufWriter::with_capacity(1 << 20, std::io::stdout()));
            return Ok(Self::Stream(stdout, "stdout".to_owned()));
        }
        if let Some(folder) = place.strip_prefix("log:") {
            let writer = LogWriter::open(Path::new(folder), &LogConfig::default())
                .map_err(|error| CliError::Other(error.to_string()))?;
            return Ok(Self::Log(Box::new(writer)));
        }
        if let Some(target) = place.strip_prefix("kafka:") {
            let (brokers, topic) = target.rsplit_once('/').ok_or_else(|| {
                CliError::Usage(format!(
                    "'{place}' names no topic; write kafka:BROKERS/TOPIC"
                ))
            })?;
            let options: Options = [("properties.bootstrap.servers", brokers), ("topic", topic)]
                .into_iter()
                .collect();
            let writer =
                KafkaWriter::open(&options).map_err(|error| CliError::Other(error.to_string()))?;
            return Ok(Self::Kafka(Box::new(writer)));
        }
        let path = place.strip_prefix("file:").unwrap_or(place);
        let file = File::create(path).map_err(CliError::io(format!("cannot write {path}")))?;
        Ok(Self::Stream(
            Box::new(BufWriter::with_capacity(1 << 20, file)),
            path.to_owned(),
        ))
    }

    fn write(&mut self, batch: &Batch) -> Result<(), CliError> {
        let line = |line: &(usize, usize, i64, u32)| &batch.bytes[line.0..line.1];
        match self {
            Self::Stream(out, name) => {
                out.write_all(&batch.bytes)
                    .map_err(CliError::io(format!("cannot write {name}")))?;
                if batch.lines.len() < LINES_AT_ONCE {
                    out.flush()
                        .map_err(CliError::io(format!("cannot write {name}")))?;
                }
                Ok(())
            }
            Self::Log(log) => {
                let partitions = log.partitions();
                for partition in 0..partitions {
                    let records: Vec<Record<'_>> = batch
                        .lines
                        .iter()
                        .filter(|l| l.3 % partitions == partition)
                        .map(|l| Record {
                            timestamp_ms: l.2,
                            key: None,
                            value: Some(line(l)),
                        })
                        .collect();
                    if !records.is_empty() {
                        log.append(partition, &records)
                            .map_err(|error| CliError::Other(error.to_string()))?;
                    }
                }
                Ok(())
            }
            Self::Kafka(kafka) => {
                for l in &batch.lines {
                    kafka
                        .send(None, Some(&l.3.to_be_bytes()), Some(line(l)), Some(l.2))
                        .map_err(|error| CliError::Other(error.to_string()))?;
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<(), CliError> {
        match self {
            Self::Stream(mut out, name) => out
                .flush()
                .map_err(CliError::io(format!("cannot write {name}"))),
            Self::Log(mut log) => log.flush().map_err(|e| CliError::Other(e.to_string())),
            Self::Kafka(mut kafka) => kafka
                .flush(FLUSH)
                .map_err(|error| CliError::Other(error.to_string())),
        }
    }
}
