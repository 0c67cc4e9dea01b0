//! From chunks of records to record batches.

use super::entities::{Entities, EventData};
use super::packed::{each_event, packing, unpack};
use super::schema::{ENTITY, EVENT, has_major};
use super::settings::Settings;
use super::tabs::Tabs;
use crate::json::column::{Column, Rules};
use crate::json::value::{Fault, Kind, Value, Wrong};
use crate::rows::{Record, Rows, each_record};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;
use tidewheel_core::snowplow::{self, ATOMIC};
use tidewheel_core::{
    ConnectorError, DecodeRequest, Decoded, Decoder, Framing, RawChunk, ReadColumn,
};

/// Most bytes of a chunk after unpacking: what bombs can cost. Records behind are bad.
const UNPACKED_BYTES_MAX: usize = 512 * 1024 * 1024;
/// After so many bad events of one packed record the rest of it is one more: each costs an entry.
const BAD_EVENTS_MAX: usize = 1_000;
/// A buffer for unpacked records that grew beyond this is given back after its chunk.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A column under construction and where its values come from.
struct Reader {
    from: Origin,
    column: Column,
}

/// Where a column's values come from.
enum Origin {
    /// A field of the event, by its index in [`Tabs`]; whether it is read as text.
    Field(usize, bool),
    /// The self-describing event: the column's number, and the index of the path into it.
    Event(usize, usize),
    /// The entities of one column.
    Entities(usize),
}

/// Reads enriched events.
pub(crate) struct TsvDecoder {
    schema: SchemaRef,
    settings: Settings,
    tabs: Tabs,
    readers: Vec<Reader>,
    /// The JSON fields, where something in them is read: their index in [`Tabs`].
    json: Json,
    unpacked: Vec<u8>,
}

struct Json {
    event: EventData,
    event_at: usize,
    entities: Entities,
    contexts_at: usize,
    derived_at: usize,
}

/// The fields that an event's text is cut to, each once, in the order in which they were asked for.
#[derive(Default)]
struct Fields(Vec<usize>);

impl Fields {
    fn index(&mut self, position: usize) -> usize {
        let known = self.0.iter().position(|field| *field == position);
        known.unwrap_or_else(|| {
            self.0.push(position);
            self.0.len() - 1
        })
    }

    fn of(&mut self, name: &str) -> usize {
        self.index(snowplow::position(name).unwrap_or_default())
    }
}

impl TsvDecoder {
    pub(crate) fn new(request: &DecodeRequest) -> Result<Self, ConnectorError> {
        let settings = Settings::new(&request.options)?;
        let mut fields = Fields::default();
        let mut events: Vec<(&str, &[String])> = Vec::new();
        let mut entities: Vec<&str> = Vec::new();
        let mut readers = Vec::with_capacity(request.columns.len());
        let mut schema = Vec::with_capacity(request.columns.len());
        for wanted in &request.columns {
            let (name, inner) = wanted
                .path
                .split_first()
                .ok_or_else(|| ConnectorError::new("a column's path is empty; name a column"))?;
            let column = Column::new(&wanted.data_type).ok_or_else(|| refused(wanted))?;
            let from = match snowplow_position(name) {
                Some(position) => {
                    if !inner.is_empty() || !is_plain(&wanted.data_type) {
                        return Err(refused(wanted));
                    }
                    Origin::Field(fields.index(position), is_text(&wanted.data_type))
                }
                None if name.starts_with(EVENT) && has_major(name) => {
                    events.push((name, inner));
                    Origin::Event(events.len() - 1, events.len() - 1)
                }
                None if name.starts_with(ENTITY) && has_major(name) => {
                    if !inner.is_empty() || !matches!(wanted.data_type, DataType::List(_)) {
                        return Err(ConnectorError::new(format!(
                            "column '{name}': an event has any number of such entities; declare it \
                             as ARRAY<ROW<…>> and read one by {name}[1]"
                        )));
                    }
                    entities.push(name);
                    Origin::Entities(entities.len() - 1)
                }
                None => return Err(unknown(name)),
            };
            let data_type = wanted.data_type.clone();
            schema.push(Field::new(wanted.path.join("."), data_type, true));
            readers.push(Reader { from, column });
        }
        let (event, event_numbers) = EventData::new(&events, &request.declared);
        let (entities, entity_numbers) = Entities::new(&entities, &request.declared);
        for reader in &mut readers {
            match &mut reader.from {
                Origin::Event(number, _) => *number = event_numbers[*number],
                Origin::Entities(number) => *number = entity_numbers[*number],
                Origin::Field(..) => {}
            }
        }
        let mut json = Json {
            event,
            event_at: 0,
            entities,
            contexts_at: 0,
            derived_at: 0,
        };
        if !json.event.is_idle() {
            json.event_at = fields.of("unstruct_event");
        }
        if !json.entities.is_idle() {
            json.contexts_at = fields.of("contexts");
            json.derived_at = fields.of("derived_contexts");
        }
        Ok(Self {
            schema: Arc::new(Schema::new(schema)),
            settings,
            tabs: Tabs::new(&fields.0),
            readers,
            json,
            unpacked: Vec::new(),
        })
    }

    /// Reads one event into the columns, or says what is wrong with it.
    #[inline]
    fn read(&mut self, event: &[u8], rows: &mut Rows) -> Result<(), String> {
        self.tabs
            .split(event)
            .map_err(|count| format!("an event of {count} fields, not {}", ATOMIC.len()))?;
        let tabs = &self.tabs;
        let field = |index: usize| {
            let (start, end) = tabs.field(index);
            event.get(start..end).unwrap_or_default()
        };
        let json = &mut self.json;
        let (mut data, mut contexts, mut derived) = (&[][..], &[][..], &[][..]);
        let mut unknown = 0;
        let broken = |name: &str| {
            let name = name.to_owned();
            move |fault: Fault| format!("{} ('{name}')", fault.reason())
        };
        if !json.event.is_idle() {
            data = field(json.event_at);
            unknown += json.event.read(data).map_err(broken("unstruct_event"))?;
        }
        if !json.entities.is_idle() {
            contexts = field(json.contexts_at);
            derived = field(json.derived_at);
            let entities = &mut json.entities;
            entities.begin();
            unknown += entities.read(contexts, false).map_err(broken("contexts"))?;
            let read = entities.read(derived, true);
            unknown += read.map_err(broken("derived_contexts"))?;
        }
        let rules = Rules::default();
        let row = rows.offsets.len();
        for (at, reader) in self.readers.iter_mut().enumerate() {
            let column = &mut reader.column;
            let pushed = match reader.from {
                Origin::Field(index, is_text) => {
                    let bytes = field(index);
                    if bytes.is_empty() {
                        column.push_null();
                        Ok(())
                    } else if is_text && !is_utf8(bytes) {
                        column.push_null();
                        Err(Wrong::Json(Fault::Utf8))
                    } else {
                        let value = Value {
                            kind: Kind::Text,
                            bytes,
                            escapes: false,
                        };
                        column.push(value, rules)
                    }
                }
                Origin::Event(number, index) => {
                    column.push(json.event.value(data, number, index), rules)
                }
                Origin::Entities(number) => match json.entities.values(number, contexts, derived) {
                    Some(values) => column.push_items(values, rules),
                    None => {
                        column.push_null();
                        Ok(())
                    }
                },
            };
            if let Err(wrong) = pushed
                && (self.settings.type_errors_are_bad || wrong != Wrong::Type)
            {
                return Err(self.undo(at, row, wrong));
            }
        }
        rows.unknown_schemas += unknown;
        Ok(())
    }

    /// Takes back what the columns up to `at` got of a row, and gives the reason.
    #[cold]
    fn undo(&mut self, at: usize, row: usize, wrong: Wrong) -> String {
        for reader in self.readers.iter_mut().take(at + 1) {
            reader.column.truncate(row);
        }
        let field = self.schema.field(at);
        match wrong {
            Wrong::Json(fault) => format!("{} ('{}')", fault.reason(), field.name()),
            Wrong::Missing => format!("'{}' is missing", field.name()),
            Wrong::Type => format!("'{}' is not a {}", field.name(), field.data_type()),
        }
    }

    /// Reads one event; false where it is bad.
    #[inline]
    fn event(&mut self, event: &[u8], record: &Record<'_>, rows: &mut Rows) -> bool {
        rows.record_count += 1;
        let max = self.settings.record_bytes_max;
        let result = if event.is_empty() {
            Err("empty record".to_owned())
        } else if event.len() > max {
            Err(format!(
                "an event of {} bytes, over the {max} of snowplow-tsv.max-record-bytes",
                event.len()
            ))
        } else {
            self.read(event, rows)
        };
        match result {
            Ok(()) => {
                rows.offsets.push(record.offset);
                rows.records.push(record.number);
                true
            }
            Err(reason) => {
                rows.reject(event, record.offset, reason);
                false
            }
        }
    }

    /// Reads the events of a packed record.
    #[cold]
    fn packed(&mut self, record: &Record<'_>, unpacked: &mut Vec<u8>, rows: &mut Rows) {
        let Some(packing) = packing(record.bytes) else {
            return;
        };
        let start = unpacked.len();
        let left = UNPACKED_BYTES_MAX.saturating_sub(start);
        let max = self.settings.batch_bytes_max.min(left);
        let mut result = unpack(packing, record.bytes, max, unpacked);
        let (mut position, mut bad) = (0, 0);
        let whole = unpacked.get(start..).unwrap_or_default();
        let read = each_event(whole, |event| {
            if self.event(content(event), record, rows) {
                rows.positions.push(position);
            } else {
                bad += 1;
            }
            position += 1;
            bad < BAD_EVENTS_MAX
        });
        if bad >= BAD_EVENTS_MAX {
            result = Err(format!(
                "a packed record with {bad} bad events; what is behind them is left out"
            ));
        }
        // What does not unpack does not end well either: the first fault says more.
        if let Err(reason) = result.and(read) {
            rows.record_count += 1;
            rows.reject(record.bytes, record.offset, reason);
        }
    }
}

impl Decoder for TsvDecoder {
    fn decode(&mut self, chunk: &RawChunk) -> Decoded {
        let mut rows = Rows::default();
        let mut unpacked = std::mem::take(&mut self.unpacked);
        unpacked.clear();
        // Only records of their own can be packed: a line ends at the first byte that looks so.
        let may_be_packed = matches!(chunk.framing, Framing::Records { .. });
        each_record(chunk, content, |record| {
            if let Some(reason) = record.fault() {
                rows.record_count += 1;
                rows.reject(record.bytes, record.offset, reason);
            } else if may_be_packed && packing(record.bytes).is_some() {
                self.packed(&record, &mut unpacked, &mut rows);
            } else if self.event(record.bytes, &record, &mut rows) && may_be_packed {
                rows.positions.push(0);
            }
        });
        if unpacked.capacity() <= KEPT_BYTES_MAX {
            self.unpacked = unpacked;
        }
        let columns: Vec<_> = self.readers.iter_mut().map(|r| r.column.finish()).collect();
        rows.finish(&self.schema, columns.into_iter().collect())
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// An event without the end of its line. Blanks belong to its fields; packed bytes may end in
/// anything.
fn content(record: &[u8]) -> &[u8] {
    if packing(record).is_some() {
        return record;
    }
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
}

#[inline]
fn is_utf8(bytes: &[u8]) -> bool {
    bytes.is_ascii() || simdutf8::basic::from_utf8(bytes).is_ok()
}

/// The position of a column of the 131.
fn snowplow_position(name: &str) -> Option<usize> {
    match name {
        "refr_device_tstamp" => snowplow::position("refr_dvce_tstamp"),
        _ => snowplow::position(name),
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// Types that a field's text is read as.
fn is_plain(data_type: &DataType) -> bool {
    !(data_type.is_nested()
        || matches!(
            data_type,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView
        ))
}

fn refused(wanted: &ReadColumn) -> ConnectorError {
    ConnectorError::new(format!(
        "column '{}': the format snowplow-tsv cannot read {}; declare it as STRING and cast it in \
         the query",
        wanted.path.join("."),
        wanted.data_type
    ))
}

fn unknown(name: &str) -> ConnectorError {
    ConnectorError::new(format!(
        "column '{name}' is none of an enriched event: those are the 131 of Snowplow's enriched TSV \
         (app_id, event_id, …), {EVENT}<vendor>_<name>_<major> and {ENTITY}<vendor>_<name>_<major>"
    ))
}
