//! The parameters of the tracker protocol.

use std::borrow::Cow;

macro_rules! parameters {
    ($($variant:ident $name:literal,)*) => {
        /// A parameter that trackers send, in the order of the names' bytes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each is named by what trackers send")]
        #[repr(u8)]
        pub enum Param { $($variant,)* }

        /// All parameters, sorted by name.
        pub const PARAMS: &[(&str, Param)] = &[$(($name, Param::$variant),)*];
    };
}

parameters! {
    Aid "aid", Cd "cd", Co "co", Cookie "cookie", Cs "cs", Cv "cv", Cx "cx", Ds "ds", Dtm "dtm",
    Duid "duid", E "e", Eid "eid", EvAc "ev_ac", EvCa "ev_ca", EvLa "ev_la", EvPr "ev_pr",
    EvVa "ev_va", FAg "f_ag", FDir "f_dir", FFla "f_fla", FGears "f_gears", FJava "f_java",
    FPdf "f_pdf", FQt "f_qt", FRealp "f_realp", FWma "f_wma", Fp "fp", Ip "ip", Lang "lang",
    Nuid "nuid", P "p", Page "page", PpMax "pp_max", PpMay "pp_may", PpMix "pp_mix",
    PpMiy "pp_miy", Refr "refr", Res "res", SeAc "se_ac", SeCa "se_ca", SeLa "se_la", SePr "se_pr",
    SeVa "se_va", Sid "sid", Stm "stm", TiCa "ti_ca", TiCu "ti_cu", TiId "ti_id", TiNa "ti_na",
    TiNm "ti_nm", TiPr "ti_pr", TiQu "ti_qu", TiSk "ti_sk", Tid "tid", Tna "tna", Tnuid "tnuid",
    TrAf "tr_af", TrCi "tr_ci", TrCo "tr_co", TrCu "tr_cu", TrId "tr_id", TrSh "tr_sh",
    TrSt "tr_st", TrTt "tr_tt", TrTx "tr_tx", Ttm "ttm", Tv "tv", Tz "tz", Ua "ua", UePr "ue_pr",
    UePx "ue_px", Uid "uid", Url "url", Vid "vid", Vp "vp",
}

/// Names that are accepted and mean nothing any more.
const IGNORED: [&str; 7] = ["mac", "ctype", "sa", "sn", "st", "sp", "ue_na"];
/// What the names of advertisement events began with.
const IGNORED_PREFIX: &str = "ad_";

/// What a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// A parameter.
    Known(Param),
    /// One that is accepted and mapped nowhere.
    Ignored,
    /// None.
    Unknown,
}

/// The first eight bytes of a name as a number, so that names are compared in one step. The order
/// of numbers is that of names.
const fn packed(name: &[u8]) -> u64 {
    let (mut number, mut at) = (0, 0);
    while at < 8 {
        let byte = if at < name.len() { name[at] } else { 0 };
        number = number << 8 | byte as u64;
        at += 1;
    }
    number
}

/// The numbers of all names, which have at most eight bytes.
const PACKED: [u64; PARAMS.len()] = {
    let mut all = [0; PARAMS.len()];
    let mut at = 0;
    while at < all.len() {
        assert!(PARAMS[at].0.len() <= 8);
        all[at] = packed(PARAMS[at].0.as_bytes());
        at += 1;
    }
    all
};

/// Finds a parameter by name.
#[must_use]
pub fn find(name: &str) -> Name {
    let found = PACKED.binary_search(&packed(name.as_bytes())).ok();
    // Longer names, and those that end in zeros, have the same numbers.
    let found = found.map(|at| PARAMS[at]).filter(|known| known.0 == name);
    match found {
        Some((_, param)) => Name::Known(param),
        None if IGNORED.contains(&name) || name.starts_with(IGNORED_PREFIX) => Name::Ignored,
        None => Name::Unknown,
    }
}

/// The values of one event.
#[derive(Debug, Clone)]
pub struct Params<'a> {
    values: [Option<Cow<'a, str>>; PARAMS.len()],
}

impl Default for Params<'_> {
    fn default() -> Self {
        const NONE: Option<Cow<'_, str>> = None;
        Self {
            values: [NONE; PARAMS.len()],
        }
    }
}

impl<'a> Params<'a> {
    /// A value that is not empty.
    #[must_use]
    pub fn get(&self, param: Param) -> Option<&str> {
        self.values[param as usize]
            .as_deref()
            .filter(|value| !value.is_empty())
    }

    /// Sets a value; the last one counts.
    pub fn set(&mut self, param: Param, value: Cow<'a, str>) {
        self.values[param as usize] = Some(value);
    }

    /// Takes over every value that `other` has.
    pub fn overlay(&mut self, other: &Params<'a>) {
        for (mine, theirs) in self.values.iter_mut().zip(&other.values) {
            if theirs.is_some() {
                mine.clone_from(theirs);
            }
        }
    }

    /// Names and values that are there, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (Param, &'static str, &str)> {
        let both = PARAMS.iter().zip(&self.values);
        both.filter_map(|((name, param), value)| Some((*param, *name, value.as_deref()?)))
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_is_found_by_its_name() {
        for (at, (name, param)) in PARAMS.iter().enumerate() {
            assert_eq!(*param as usize, at);
            assert_eq!(find(name), Name::Known(*param), "{name}");
        }
        assert!(PARAMS.is_sorted_by(|a, b| a.0 < b.0), "searched by halves");
        for name in IGNORED.iter().chain(&["ad_ba"]) {
            assert_eq!(find(name), Name::Ignored, "{name}");
        }
        for name in [
            "",
            "E",
            "aidx",
            "ti",
            "~",
            "e\0",
            "tnuid\0\0\0\0",
            "cookie\0\0x",
        ] {
            assert_eq!(find(name), Name::Unknown, "{name}");
        }
    }

    #[test]
    fn what_lies_above_wins_and_empty_is_nothing() {
        let mut below = Params::default();
        below.set(Param::Aid, "a".into());
        below.set(Param::Uid, "b".into());
        let mut above = Params::default();
        above.set(Param::Uid, "c".into());
        above.set(Param::Tna, "".into());
        below.overlay(&above);
        assert_eq!(below.get(Param::Aid), Some("a"));
        assert_eq!(below.get(Param::Uid), Some("c"));
        assert_eq!(below.get(Param::Tna), None);
        let names: Vec<&str> = below.iter().map(|(_, name, _)| name).collect();
        assert_eq!(names, ["aid", "tna", "uid"]);
    }
}
