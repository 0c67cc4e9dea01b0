//! The JSON fields of an event: the self-describing event's data and the entities, each found by
//! its schema.

use super::schema::{ENTITY, EVENT, Schemas};
use crate::json::index::Index;
use crate::json::paths::Paths;
use crate::json::value::{Fault, Kind, Slot, Value};
use crate::json::walk::Walk;

/// How the schema of the field `unstruct_event` begins.
const EVENT_WRAPPER: &[u8] = b"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-";
/// How the schema of the fields `contexts` and `derived_contexts` begins.
const ENTITIES_WRAPPER: &[u8] = b"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-";

/// A text's masks, the wanted paths in it, and where they were found.
#[derive(Debug)]
struct Finder {
    index: Index,
    paths: Paths,
    slots: Vec<Slot>,
}

impl Finder {
    /// Also returns, for each path, its slot.
    fn new(paths: &[Vec<String>]) -> (Self, Vec<usize>) {
        let (paths, places) = Paths::new(paths.iter().map(Vec::as_slice));
        let slots = vec![Slot::default(); paths.slot_count()];
        let finder = Self {
            index: Index::default(),
            paths,
            slots,
        };
        (finder, places)
    }

    /// Indexes a text.
    fn begin<'a>(&'a mut self, text: &'a [u8]) -> Result<Walk<'a>, Fault> {
        self.index.build(text);
        if self.index.non_ascii && simdutf8::basic::from_utf8(text).is_err() {
            return Err(Fault::Utf8);
        }
        self.slots.fill(Slot::default());
        Ok(Walk {
            bytes: text,
            index: &self.index,
            paths: &self.paths,
            slots: &mut self.slots,
            depth: 0,
        })
    }

    fn slot(&self, at: usize) -> Slot {
        self.slots.get(at).copied().unwrap_or_default()
    }
}

fn path(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// A slot's text, without escapes.
fn plain<'s>(
    slot: Slot,
    text: &'s [u8],
    escapes: bool,
    scratch: &'s mut Vec<u8>,
) -> Result<&'s [u8], Fault> {
    if slot.kind == Kind::Text {
        slot.value(text, escapes).plain(scratch)
    } else {
        Ok(&[])
    }
}

/// Reads `unstruct_event`.
#[derive(Debug)]
pub(crate) struct EventData {
    schemas: Schemas,
    finder: Finder,
    /// The slots of the wrapper's schema, of the event's schema, and of each value that is read.
    wrapper: usize,
    schema: usize,
    values: Vec<usize>,
    /// Which column the event at hand belongs to.
    found: Option<usize>,
    escapes: bool,
    scratch: Vec<u8>,
}

impl EventData {
    /// For columns, each with a path into it; also returns, for each, the number of its column.
    pub(crate) fn new(columns: &[(&str, &[String])], declared: &[String]) -> (Self, Vec<usize>) {
        let mut schemas = Schemas::new(EVENT, declared);
        let numbers = columns.iter().map(|(name, _)| schemas.want(name)).collect();
        let mut paths = vec![path(&["schema"]), path(&["data", "schema"])];
        for (_, inner) in columns {
            let mut whole = path(&["data", "data"]);
            whole.extend(inner.iter().cloned());
            paths.push(whole);
        }
        let (finder, mut slots) = Finder::new(&paths);
        let values = slots.split_off(2);
        let data = Self {
            schemas,
            finder,
            wrapper: slots.first().copied().unwrap_or_default(),
            schema: slots.get(1).copied().unwrap_or_default(),
            values,
            found: None,
            escapes: false,
            scratch: Vec::new(),
        };
        (data, numbers)
    }

    /// Nothing is read.
    pub(crate) fn is_idle(&self) -> bool {
        self.schemas.is_empty()
    }

    /// Reads an event's field; returns how many schemas of it the table does not know: 0 or 1.
    pub(crate) fn read(&mut self, text: &[u8]) -> Result<u64, Fault> {
        self.found = None;
        if text.is_empty() {
            return Ok(0);
        }
        self.finder.begin(text)?.record()?;
        self.escapes = self.finder.index.backslash;
        let wrapper = self.finder.slot(self.wrapper);
        if !plain(wrapper, text, self.escapes, &mut self.scratch)?.starts_with(EVENT_WRAPPER) {
            return Ok(1);
        }
        let schema = self.finder.slot(self.schema);
        let schema = plain(schema, text, self.escapes, &mut self.scratch)?;
        let found = self.schemas.find(schema);
        self.found = found.wanted;
        Ok(u64::from(!found.known))
    }

    /// The value of the column `number` at the path `index`; absent where the event is another.
    #[inline]
    pub(crate) fn value<'a>(&self, text: &'a [u8], number: usize, index: usize) -> Value<'a> {
        let slot = match self.values.get(index) {
            Some(slot) if self.found == Some(number) => self.finder.slot(*slot),
            _ => Slot::default(),
        };
        slot.value(text, self.escapes)
    }
}

/// One entity.
#[derive(Debug, Clone, Copy)]
struct Entity {
    /// Its column.
    number: usize,
    /// It is one of `derived_contexts`.
    derived: bool,
    data: Slot,
    escapes: bool,
}

/// Reads `contexts` and `derived_contexts`.
#[derive(Debug)]
pub(crate) struct Entities {
    schemas: Schemas,
    finder: Finder,
    schema: usize,
    data: usize,
    found: Vec<Entity>,
    /// For each column, whether the event at hand has such an entity at all, and a derived one.
    seen: Vec<(bool, bool)>,
    scratch: Vec<u8>,
}

impl Entities {
    /// For columns; also returns, for each, its number.
    pub(crate) fn new(columns: &[&str], declared: &[String]) -> (Self, Vec<usize>) {
        let mut schemas = Schemas::new(ENTITY, declared);
        let numbers = columns.iter().map(|name| schemas.want(name)).collect();
        // The field and each entity in it are objects alike.
        let (finder, slots) = Finder::new(&[path(&["schema"]), path(&["data"])]);
        let entities = Self {
            seen: vec![(false, false); schemas.len()],
            schemas,
            finder,
            schema: slots.first().copied().unwrap_or_default(),
            data: slots.get(1).copied().unwrap_or_default(),
            found: Vec::new(),
            scratch: Vec::new(),
        };
        (entities, numbers)
    }

    /// Nothing is read.
    pub(crate) fn is_idle(&self) -> bool {
        self.schemas.is_empty()
    }

    /// Forgets the event before.
    pub(crate) fn begin(&mut self) {
        self.found.clear();
        self.seen.fill((false, false));
    }

    /// Adds the entities of a field; returns how many of them have a schema that the table does
    /// not know.
    pub(crate) fn read(&mut self, text: &[u8], derived: bool) -> Result<u64, Fault> {
        if text.is_empty() {
            return Ok(0);
        }
        self.finder.begin(text)?.record()?;
        let escapes = self.finder.index.backslash;
        let wrapper = self.finder.slot(self.schema);
        let list = self.finder.slot(self.data);
        if !plain(wrapper, text, escapes, &mut self.scratch)?.starts_with(ENTITIES_WRAPPER) {
            return Ok(1);
        }
        if list.kind != Kind::Array {
            return Ok(0);
        }
        let mut unknown = 0;
        let (schemas, found, seen) = (&mut self.schemas, &mut self.found, &mut self.seen);
        let (scratch, schema, data) = (&mut self.scratch, self.schema, self.data);
        let mut walk = Walk {
            bytes: text,
            index: &self.finder.index,
            paths: &self.finder.paths,
            slots: &mut self.finder.slots,
            depth: 1,
        };
        walk.items(list.start as usize, |slots| {
            let slot = |at: usize| slots.get(at).copied().unwrap_or_default();
            let column = schemas.find(plain(slot(schema), text, escapes, scratch)?);
            unknown += u64::from(!column.known);
            if let Some(number) = column.wanted {
                if let Some((any, own)) = seen.get_mut(number) {
                    *any = true;
                    *own |= derived;
                }
                found.push(Entity {
                    number,
                    derived,
                    data: slot(data),
                    escapes,
                });
            }
            Ok(())
        })?;
        Ok(unknown)
    }

    /// The data of the column's entities, given both fields' texts; `None` where there are none.
    /// Derived ones stand in place of the others.
    pub(crate) fn values<'a>(
        &'a self,
        number: usize,
        contexts: &'a [u8],
        derived: &'a [u8],
    ) -> Option<impl Iterator<Item = Value<'a>>> {
        let (any, own) = self.seen.get(number).copied().unwrap_or_default();
        let chosen = move |entity: &&Entity| entity.number == number && entity.derived == own;
        any.then(|| {
            self.found.iter().filter(chosen).map(move |entity| {
                let text = if own { derived } else { contexts };
                entity.data.value(text, entity.escapes)
            })
        })
    }
}
