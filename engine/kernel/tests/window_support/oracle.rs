//! What sets should show, from raw rows: every window by its definition, every row judged by the
//! watermark before it.

use super::*;
use std::collections::BTreeSet;
use tidewheel_kernel::spec::{Emit, SetSpec, WINDOW_TIME_GAP};

/// By key: the values, and when the window runs empty.
pub type Current = BTreeMap<u32, (Values, i64)>;

/// What one set should show: for each key its values and when its window runs empty.
pub fn current_values(rows: &[Row], spec: &SetSpec, now: i64) -> Current {
    let mut keys: BTreeMap<u32, Vec<&Row>> = BTreeMap::new();
    for row in rows
        .iter()
        .filter(|row| spec.filter.is_none_or(|f| row.flags[f - 1]))
    {
        keys.entry(row.key).or_default().push(row);
    }
    let at = |rows: &[&Row], now: i64| {
        let window = current_window(&spec.window, now);
        let inside: Vec<&Row> = rows
            .iter()
            .copied()
            .filter(|row| window.0 <= row.time && row.time < window.1)
            .collect();
        values(&inside, spec.retracting)
    };
    let mut shown = Current::new();
    for (key, rows) in keys {
        if let Some(values) = at(&rows, now) {
            let mut empty_at = (now.div_euclid(UNIT) + 1) * UNIT;
            while at(&rows, empty_at).is_some() {
                empty_at += UNIT;
            }
            shown.insert(key, (values, empty_at));
        }
    }
    shown
}

/// Key, window start, window end. For sets of one row a key the window is (0, 0).
pub type Place = (u32, i64, i64);
pub type Shown = BTreeMap<Place, Values>;

pub fn lateness(emit: Emit) -> i64 {
    match emit {
        Emit::Closed { allowed_lateness }
        | Emit::Final { allowed_lateness }
        | Emit::EveryChange { allowed_lateness } => allowed_lateness,
        _ => 0,
    }
}

pub fn delay(emit: Emit) -> i64 {
    match emit {
        Emit::Final { allowed_lateness } => allowed_lateness,
        _ => 0,
    }
}

/// The naive machine: raw rows of each window, or of each key's sessions.
pub struct Oracle {
    pub spec: SetSpec,
    windows: BTreeMap<Place, Vec<Row>>,
    accepted: BTreeMap<u32, Vec<Row>>,
    /// Sessions that no row can join any more.
    forgotten: Vec<Vec<Row>>,
    /// Sessions as they were when they closed.
    pub closed: BTreeMap<Place, Values>,
    pub late: BTreeSet<u64>,
}

impl Oracle {
    pub fn new(spec: SetSpec) -> Self {
        Self {
            spec,
            windows: BTreeMap::new(),
            accepted: BTreeMap::new(),
            forgotten: Vec::new(),
            closed: BTreeMap::new(),
            late: BTreeSet::new(),
        }
    }

    pub fn sessions(&self, key: u32) -> Vec<Vec<Row>> {
        let WindowKind::Session { gap } = self.spec.window.kind else {
            unreachable!()
        };
        let mut rows = self.accepted.get(&key).cloned().unwrap_or_default();
        rows.sort_by_key(|row| row.time);
        let mut sessions: Vec<Vec<Row>> = Vec::new();
        for row in rows {
            match sessions.last_mut() {
                Some(session) if row.time - session.last().unwrap().time <= gap => {
                    session.push(row);
                }
                _ => sessions.push(vec![row]),
            }
        }
        sessions
    }

    pub fn place(&self, session: &[Row]) -> Place {
        let WindowKind::Session { gap } = self.spec.window.kind else {
            unreachable!()
        };
        (
            session[0].key,
            session[0].time,
            session.last().unwrap().time + gap,
        )
    }

    fn close_sessions(&mut self, key: u32, watermark: i64) {
        for session in self.sessions(key) {
            let place = self.place(&session);
            if place.2 + delay(self.spec.emit) - WINDOW_TIME_GAP <= watermark {
                let rows: Vec<&Row> = session.iter().collect();
                self.closed.insert(place, values(&rows, false).unwrap());
            }
        }
    }

    pub fn add(&mut self, row: &Row) {
        if self
            .spec
            .filter
            .is_some_and(|filter| !row.flags[filter - 1])
        {
            return;
        }
        let allowed = lateness(self.spec.emit) - WINDOW_TIME_GAP;
        if let WindowKind::Session { .. } = self.spec.window.kind {
            self.close_sessions(row.key, row.watermark);
            let WindowKind::Session { gap } = self.spec.window.kind else {
                unreachable!()
            };
            for session in self.sessions(row.key) {
                if self.place(&session).2 + gap + allowed <= row.watermark {
                    let accepted = self.accepted.get_mut(&row.key).unwrap();
                    accepted.retain(|row| !session.contains(row));
                    self.forgotten.push(session);
                }
            }
            self.accepted.entry(row.key).or_default().push(row.clone());
            let joined = self
                .sessions(row.key)
                .into_iter()
                .find(|session| session.contains(row))
                .unwrap();
            if self.place(&joined).2 + allowed <= row.watermark {
                self.accepted.get_mut(&row.key).unwrap().pop();
                self.late.insert(row.seq);
            }
            return;
        }
        let windows = windows_of(&self.spec.window, row.time);
        let mut late = !windows.is_empty();
        for (start, end) in windows {
            if end + allowed > row.watermark {
                late = false;
                self.windows
                    .entry((row.key, start, end))
                    .or_default()
                    .push(row.clone());
            }
        }
        if late {
            self.late.insert(row.seq);
        }
    }

    pub fn shown(&mut self, frontier: i64, watermark: i64) -> Shown {
        let emit = self.spec.emit;
        let mut shown = Shown::new();
        if let WindowKind::Session { .. } = self.spec.window.kind {
            let keys: Vec<u32> = self.accepted.keys().copied().collect();
            for key in keys {
                self.close_sessions(key, watermark);
                let forgotten = self
                    .forgotten
                    .iter()
                    .filter(|rows| rows[0].key == key)
                    .cloned();
                for session in forgotten.chain(self.sessions(key)) {
                    let place = self.place(&session);
                    let rows: Vec<&Row> = session.iter().collect();
                    let values = values(&rows, false).unwrap();
                    match emit {
                        Emit::EveryChange { .. } => {
                            shown.insert(place, values);
                        }
                        Emit::Closed { .. } if place.2 - WINDOW_TIME_GAP <= watermark => {
                            shown.insert(place, values);
                        }
                        Emit::Current => {
                            // Sessions come by time: the newest stays.
                            shown.remove(&(key, 0, 0));
                            if frontier < place.2 {
                                shown.insert((key, 0, 0), values);
                            }
                        }
                        _ => {}
                    }
                }
            }
            match emit {
                Emit::Final { .. } => shown = self.closed.clone(),
                Emit::LastClosed => {
                    let mut closed: Vec<_> = self.closed.clone().into_iter().collect();
                    closed.sort_by_key(|(place, _)| place.2);
                    shown = closed
                        .into_iter()
                        .map(|(place, v)| ((place.0, 0, 0), v))
                        .collect();
                }
                _ => {}
            }
            return shown;
        }
        let last = |key: u32, windows: &BTreeMap<Place, Vec<Row>>| {
            // The last window of all, with rows or without, that has closed.
            let mut end = watermark + WINDOW_TIME_GAP;
            loop {
                let window = current_window(&self.spec.window, end - 1);
                if window.1 == end {
                    return windows.get(&(key, window.0, window.1)).cloned();
                }
                end -= UNIT;
            }
        };
        for (&place, rows) in &self.windows {
            let all: Vec<&Row> = rows.iter().collect();
            let Some(result) = values(&all, self.spec.retracting) else {
                continue;
            };
            let closed = place.2 + delay(emit) - WINDOW_TIME_GAP <= watermark;
            match emit {
                Emit::LastClosed => {
                    if let Some(rows) = last(place.0, &self.windows) {
                        let rows: Vec<&Row> = rows.iter().collect();
                        if let Some(result) = values(&rows, self.spec.retracting) {
                            shown.insert((place.0, 0, 0), result);
                        }
                    }
                }
                Emit::EveryChange { .. } => {
                    shown.insert(place, result);
                }
                _ if closed => {
                    shown.insert(place, result);
                }
                _ => {}
            }
        }
        shown
    }
}
