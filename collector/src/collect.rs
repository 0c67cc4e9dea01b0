//! From parameters to records: the collector without sockets, files and clocks.

use crate::bad::{self, Evidence, Failure, Origin, Reason};
use crate::batch::Batch;
use crate::columns as column;
use crate::enrich::address::Places;
use crate::enrich::agent::Agents;
use crate::enrich::{fingerprint, web};
use crate::event::{Attached, Event};
use crate::mapping::{self, Kind, USERAGENT_MAX};
use crate::metrics::Metrics;
use crate::params::{Param, Params};
use crate::{iglu, payload, time, topic, tsv};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The user and the address where a visitor wants to stay unknown.
pub const ANONYMOUS_USER: &str = "00000000-0000-0000-0000-000000000000";
/// See [`ANONYMOUS_USER`].
pub const ANONYMOUS_ADDRESS: &str = "unknown";

/// The column v_collector, where the tracker does not set it, and v_etl.
const VERSION: &str = concat!("tidewheel-", env!("CARGO_PKG_VERSION"));

/// What is known of a request besides its parameters.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// When it came, in milliseconds since the epoch.
    pub collector_ms: i64,
    /// Its path.
    pub path: &'a str,
    /// The header User-Agent.
    pub user_agent: Option<&'a str>,
    /// The header Referer: the page, where the event names none.
    pub referer: Option<&'a str>,
    /// The address that it came from, or [`ANONYMOUS_ADDRESS`].
    pub address: &'a str,
    /// The network user, or [`ANONYMOUS_USER`].
    pub network_userid: &'a str,
}

impl<'a> Arrival<'a> {
    fn origin(&self) -> Origin<'a> {
        Origin {
            collector_ms: self.collector_ms,
            path: self.path,
            user_agent: self.user_agent,
        }
    }
}

/// What is written, and what events are enriched with.
#[derive(Debug)]
pub struct Rules {
    /// Write topic JSON.
    pub json: bool,
    /// Write enriched TSV.
    pub tsv: bool,
    /// A record with more bytes, key included, is a bad row.
    pub record_bytes: usize,
    /// A POST with more bytes is one bad row.
    pub payload_bytes: usize,
    /// Domains that are one's own beside the page's host.
    pub internal_domains: Vec<String>,
    /// Where addresses are.
    pub places: Option<Places>,
}

/// Turns events into records.
#[derive(Debug)]
pub struct Collector {
    rules: Rules,
    agents: Agents,
    metrics: Arc<Metrics>,
}

/// The events of a POST that are still to be turned into records.
#[derive(Debug)]
pub struct Post<'a> {
    query: Params<'a>,
    events: Events<'a>,
}

/// Events in their order.
#[derive(Debug)]
enum Events<'a> {
    /// Read already: all of them are sound.
    Read(std::vec::IntoIter<Params<'a>>),
    /// To be read one by one, since not all of them may be.
    Raw(std::vec::IntoIter<&'a RawValue>),
}

impl Collector {
    /// A collector by these rules.
    #[must_use]
    pub fn new(rules: Rules, metrics: Arc<Metrics>) -> Self {
        Self {
            rules,
            agents: Agents::default(),
            metrics,
        }
    }

    /// Adds a bad row to a batch.
    pub fn bad(
        &self,
        failure: &Failure,
        arrival: &Arrival<'_>,
        evidence: Evidence<'_>,
        batch: &mut Batch,
    ) {
        self.metrics.bad(failure.reason);
        tracing::debug!(%failure, "bad event");
        let origin = arrival.origin();
        batch
            .bad
            .push("", |out| bad::write(out, failure, &origin, evidence));
    }

    /// Takes the event of a GET's query.
    pub fn get(&self, query: &str, arrival: &Arrival<'_>, batch: &mut Batch) {
        match payload::query(query) {
            Ok(params) => self.take(&params, arrival, batch),
            Err(failure) => self.bad(&failure, arrival, Evidence::Bytes(query.as_bytes()), batch),
        }
    }

    /// Opens a POST. `None` where all of it is bad; the batch then holds its bad row.
    pub fn open<'a>(
        &self,
        query: &'a str,
        body: &'a [u8],
        arrival: &Arrival<'_>,
        batch: &mut Batch,
    ) -> Option<Post<'a>> {
        let most = self.rules.payload_bytes;
        let opened = if body.len() > most {
            let message = format!("the payload is larger than {most} bytes");
            Err(Failure::new(Reason::Size, message))
        } else {
            payload::query(query).and_then(|query| {
                let events = match payload::sound_events(body) {
                    Some(events) => Events::Read(events.into_iter()),
                    None => Events::Raw(payload::events(body)?.into_iter()),
                };
                Ok(Post { query, events })
            })
        };
        // Records are about as large as what they are made from.
        if self.rules.json {
            batch.json.reserve(body.len().min(most));
        }
        if self.rules.tsv {
            batch.tsv.reserve(body.len().min(most));
        }
        opened
            .map_err(|failure| self.bad(&failure, arrival, Evidence::Bytes(body), batch))
            .ok()
    }

    /// Turns events of a POST into records until the batch has `bytes`, or none is left; then it
    /// returns false.
    pub fn next(
        &self,
        post: &mut Post<'_>,
        arrival: &Arrival<'_>,
        bytes: usize,
        batch: &mut Batch,
    ) -> bool {
        while batch.bytes() < bytes {
            let read = match &mut post.events {
                Events::Read(events) => events.next().map(Ok),
                Events::Raw(events) => events
                    .next()
                    .map(|json| payload::event(json).map_err(|failure| (failure, json))),
            };
            match read {
                None => return false,
                Some(Ok(mut params)) => {
                    params.overlay(&post.query);
                    match mapping::require(&params) {
                        Ok(()) => self.take(&params, arrival, batch),
                        Err(failure) => {
                            self.bad(&failure, arrival, Evidence::Params(&params), batch);
                        }
                    }
                }
                Some(Err((failure, json))) => {
                    let evidence = Evidence::Bytes(json.get().as_bytes());
                    self.bad(&failure, arrival, evidence, batch);
                }
            }
        }
        match &post.events {
            Events::Read(events) => events.len() > 0,
            Events::Raw(events) => events.len() > 0,
        }
    }

    /// Takes all events of a POST.
    pub fn post(&self, query: &str, body: &[u8], arrival: &Arrival<'_>, batch: &mut Batch) {
        if let Some(mut post) = self.open(query, body, arrival, batch) {
            while self.next(&mut post, arrival, usize::MAX, batch) {}
        }
    }

    /// Turns one event into records, or into a bad row. A defect is caught: answered with an
    /// error, a tracker would send the same event for ever.
    fn take(&self, params: &Params<'_>, arrival: &Arrival<'_>, batch: &mut Batch) {
        let (json, tsv) = (batch.json.len(), batch.tsv.len());
        let written = catch_unwind(AssertUnwindSafe(|| self.write(params, arrival, batch)));
        let failure = match written {
            Ok(Ok(())) => return self.metrics.good(),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::new(Reason::Defect, "please report this event"),
        };
        batch.json.truncate(json);
        batch.tsv.truncate(tsv);
        self.bad(&failure, arrival, Evidence::Params(params), batch);
    }

    fn write(
        &self,
        params: &Params<'_>,
        arrival: &Arrival<'_>,
        batch: &mut Batch,
    ) -> Result<(), Failure> {
        let attached = Attached::of(params)?;
        let event = self.enriched(params, &attached, arrival)?;
        let columns = &event.columns;
        // A visitor's events stay in order.
        let key = columns
            .get(column::DOMAIN_USERID)
            .or_else(|| {
                let user = columns.get(column::NETWORK_USERID);
                user.filter(|user| *user != ANONYMOUS_USER)
            })
            .unwrap_or(columns.text(column::EVENT_ID));
        let mut bytes = 0;
        if self.rules.json {
            bytes = batch.json.push(key, |out| topic::write(out, &event));
        }
        if self.rules.tsv {
            bytes = bytes.max(batch.tsv.push(key, |out| tsv::write(out, &event)));
        }
        if bytes > self.rules.record_bytes {
            let most = self.rules.record_bytes;
            let message = format!("its record is larger than {most} bytes");
            return Err(Failure::new(Reason::Size, message));
        }
        Ok(())
    }

    fn enriched<'a>(
        &self,
        params: &'a Params<'_>,
        attached: &'a Attached<'_>,
        arrival: &Arrival<'a>,
    ) -> Result<Event<'a>, Failure> {
        let mut event = Event::default();
        let columns = &mut event.columns;
        let kind = mapping::map(params, columns)?;
        let etl = arrival.collector_ms.max(time::now());
        event.times = mapping::times(params, arrival.collector_ms, etl)?;
        if columns.get(column::USERAGENT).is_none()
            && let Some(user_agent) = arrival.user_agent
        {
            columns.set(column::USERAGENT, shortened(user_agent, USERAGENT_MAX));
        }
        if columns.get(column::PAGE_URL).is_none()
            && let Some(referer) = arrival.referer
            && mapping::within("", referer, mapping::URL_MAX).is_ok()
        {
            columns.set(column::PAGE_URL, referer);
        }
        if columns.get(column::NETWORK_USERID).is_none() {
            columns.set(column::NETWORK_USERID, arrival.network_userid);
        }
        columns.set(column::USER_IPADDRESS, address(params, arrival));
        if columns.get(column::V_COLLECTOR).is_none() {
            columns.set(column::V_COLLECTOR, VERSION);
        }
        columns.set(column::V_ETL, VERSION);
        columns.set(column::EVENT_FORMAT, "jsonschema");
        if let Some(text) = &attached.contexts {
            event.entities = iglu::contexts(text)?;
        }
        let columns = &mut event.columns;
        if kind == Kind::Unstruct {
            let text = attached.unstruct.as_deref().ok_or_else(|| {
                Failure::new(Reason::Parameter, "'ue_pr' and 'ue_px' are missing")
            })?;
            let unstruct = event.unstruct.insert(iglu::unstruct_event(text)?);
            let schema = unstruct.schema();
            columns.set(column::EVENT_VENDOR, schema.vendor.to_owned());
            columns.set(column::EVENT_NAME, schema.name.to_owned());
            columns.set(column::EVENT_FORMAT, schema.format.to_owned());
            columns.set(column::EVENT_VERSION, schema.version.to_owned());
        } else {
            let (vendor, name) = kind.vendor_and_name();
            columns.set(column::EVENT_VENDOR, vendor);
            columns.set(column::EVENT_NAME, name);
            columns.set(column::EVENT_VERSION, "1-0-0");
        }
        event.times.left = web(columns, &self.rules.internal_domains)?;
        if let Some(places) = &self.rules.places {
            let address = columns.text(column::USER_IPADDRESS).to_owned();
            places.set(columns, &address);
        }
        columns.set(column::EVENT_FINGERPRINT, fingerprint::of(params));
        if self.rules.tsv
            && let Some(user_agent) = columns.get(column::USERAGENT)
        {
            event.derived = Some(self.agents.entities(user_agent));
        }
        Ok(event)
    }
}

/// The first characters that take at most so many UTF-16 units.
fn shortened(text: &str, most: usize) -> &str {
    let mut units = 0;
    let end = text.char_indices().find(|(_, character)| {
        units += character.len_utf16();
        units > most
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// The address that the tracker names, where it is one, else the request's.
fn address<'a>(params: &'a Params<'_>, arrival: &Arrival<'a>) -> Cow<'a, str> {
    let named = params.get(Param::Ip).map(str::trim);
    match named.and_then(|text| text.parse::<IpAddr>().ok()) {
        Some(address) => Cow::Owned(address.to_string()),
        None if named == Some(ANONYMOUS_ADDRESS) => Cow::Borrowed(ANONYMOUS_ADDRESS),
        None => Cow::Borrowed(arrival.address),
    }
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
