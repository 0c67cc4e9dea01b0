//! Each parameter, well-formed and not.

use super::*;
use crate::payload::query;
use tidewheel_core::snowplow::{ATOMIC, Kind as ColumnKind, position};

fn mapped(text: &str) -> Result<Columns<'static>, Failure> {
    let params: &'static Params<'static> = Box::leak(Box::new(
        query(Box::leak(text.to_owned().into_boxed_str())).expect("a query"),
    ));
    let mut columns = Columns::default();
    map(params, &mut columns)?;
    Ok(columns)
}

fn column(text: &str, name: &str) -> String {
    let columns = mapped(text).expect(text);
    columns.text(position(name).expect(name)).to_owned()
}

#[test]
fn every_parameter_reaches_its_column() {
    let plain = [
        ("aid", "app_id"),
        ("tna", "name_tracker"),
        ("tv", "v_tracker"),
        ("cv", "v_collector"),
        ("uid", "user_id"),
        ("fp", "user_fingerprint"),
        ("duid", "domain_userid"),
        ("nuid", "network_userid"),
        ("tnuid", "network_userid"),
        ("url", "page_url"),
        ("page", "page_title"),
        ("refr", "page_referrer"),
        ("lang", "br_lang"),
        ("cd", "br_colordepth"),
        ("tz", "os_timezone"),
        ("cs", "doc_charset"),
        ("ua", "useragent"),
        ("se_ca", "se_category"),
        ("se_ac", "se_action"),
        ("se_la", "se_label"),
        ("se_pr", "se_property"),
        ("ev_ca", "se_category"),
        ("ev_ac", "se_action"),
        ("ev_la", "se_label"),
        ("ev_pr", "se_property"),
        ("tr_id", "tr_orderid"),
        ("tr_af", "tr_affiliation"),
        ("tr_ci", "tr_city"),
        ("tr_st", "tr_state"),
        ("tr_co", "tr_country"),
        ("tr_cu", "tr_currency"),
        ("ti_id", "ti_orderid"),
        ("ti_sk", "ti_sku"),
        ("ti_nm", "ti_name"),
        ("ti_na", "ti_name"),
        ("ti_ca", "ti_category"),
        ("ti_cu", "ti_currency"),
    ];
    for (param, name) in plain {
        assert_eq!(
            column(&format!("e=pv&{param}=x%20y"), name),
            "x y",
            "{param}"
        );
    }
    let ints = [
        ("tid", "txn_id"),
        ("vid", "domain_sessionidx"),
        ("ti_qu", "ti_quantity"),
        ("pp_mix", "pp_xoffset_min"),
        ("pp_max", "pp_xoffset_max"),
        ("pp_miy", "pp_yoffset_min"),
        ("pp_may", "pp_yoffset_max"),
    ];
    for (param, name) in ints {
        for (text, want) in [("7", "7"), ("-3", "-3"), ("007", "7"), ("12.9", "12")] {
            assert_eq!(column(&format!("e=pv&{param}={text}"), name), want);
        }
        for wrong in ["x", "1e10", "2147483648", "NaN", "%20"] {
            let failure = mapped(&format!("e=pv&{param}={wrong}")).expect_err(wrong);
            assert_eq!(failure.message, format!("'{param}' is no whole number"));
        }
    }
    let doubles = [
        ("se_va", "se_value"),
        ("ev_va", "se_value"),
        ("tr_tt", "tr_total"),
        ("tr_tx", "tr_tax"),
        ("tr_sh", "tr_shipping"),
        ("ti_pr", "ti_price"),
    ];
    for (param, name) in doubles {
        for (text, want) in [
            ("1.50", "1.5"),
            ("3", "3.0"),
            ("-0.01", "-0.01"),
            ("1e3", "1000.0"),
        ] {
            assert_eq!(column(&format!("e=pv&{param}={text}"), name), want);
        }
        for wrong in ["x", "1,5", "inf", "1e999"] {
            assert!(
                mapped(&format!("e=pv&{param}={wrong}")).is_err(),
                "{param}={wrong}"
            );
        }
    }
    let flags = [
        ("cookie", "br_cookies"),
        ("f_pdf", "br_features_pdf"),
        ("f_fla", "br_features_flash"),
        ("f_java", "br_features_java"),
        ("f_dir", "br_features_director"),
        ("f_qt", "br_features_quicktime"),
        ("f_realp", "br_features_realplayer"),
        ("f_wma", "br_features_windowsmedia"),
        ("f_gears", "br_features_gears"),
        ("f_ag", "br_features_silverlight"),
    ];
    for (param, name) in flags {
        assert_eq!(column(&format!("e=pv&{param}=1"), name), "1");
        assert_eq!(column(&format!("e=pv&{param}=0"), name), "0");
        assert!(mapped(&format!("e=pv&{param}=yes")).is_err());
    }
}

#[test]
fn every_rule_fits_its_columns_kind() {
    for (param, column, rule) in RULES {
        let want = match rule {
            Text | Capped(_) | Id => ColumnKind::String,
            Int => ColumnKind::Int,
            Double => ColumnKind::Double,
            Flag => ColumnKind::Boolean,
        };
        assert_eq!(ATOMIC[*column].kind, want, "{param:?}");
    }
    for (_, width, height) in PAIRS {
        assert_eq!(ATOMIC[*width].kind, ColumnKind::Int);
        assert_eq!(*height, width + 1);
    }
}

#[test]
fn sizes_are_pairs() {
    for (param, width, height) in [
        ("res", "dvce_screenwidth", "dvce_screenheight"),
        ("vp", "br_viewwidth", "br_viewheight"),
        ("ds", "doc_width", "doc_height"),
    ] {
        let text = format!("e=pv&{param}=1920x1080.4");
        assert_eq!(column(&text, width), "1920");
        assert_eq!(column(&text, height), "1080");
        for wrong in ["1920", "x", "ax1", "1x1x1", "1920X1080"] {
            assert!(mapped(&format!("e=pv&{param}={wrong}")).is_err(), "{wrong}");
        }
    }
}

#[test]
fn ids_are_uuids_in_lower_case() {
    let id = "C770ACE1-e3dc-4841-8a9b-d8cb2f2dd063";
    assert_eq!(
        column(&format!("e=pv&eid={id}"), "event_id"),
        id.to_lowercase()
    );
    assert_eq!(
        column(&format!("e=pv&sid={id}"), "domain_sessionid"),
        id.to_lowercase()
    );
    for wrong in [
        "1",
        "c770ace1e3dc48418a9bd8cb2f2dd063",
        "{c770ace1-e3dc-4841-8a9b-d8cb2f2dd063}",
    ] {
        assert!(mapped(&format!("e=pv&eid={wrong}")).is_err(), "{wrong}");
        assert!(mapped(&format!("e=pv&sid={wrong}")).is_err(), "{wrong}");
    }
    let (first, second) = (column("e=pv", "event_id"), column("e=pv", "event_id"));
    assert!(Uuid::try_parse(&first).is_ok() && first != second);
}

#[test]
fn the_trackers_own_network_id_wins() {
    assert_eq!(column("e=pv&tnuid=a&nuid=b", "network_userid"), "a");
    assert_eq!(column("e=pv&nuid=b", "network_userid"), "b");
}

#[test]
fn kinds_and_platforms_are_known_ones() {
    for (text, want) in [
        ("pv", "page_view"),
        ("pp", "page_ping"),
        ("ue", "unstruct"),
        ("se", "struct"),
        ("tr", "transaction"),
        ("ti", "transaction_item"),
    ] {
        assert_eq!(column(&format!("e={text}"), "event"), want);
    }
    for platform in PLATFORMS {
        assert_eq!(column(&format!("e=pv&p={platform}"), "platform"), platform);
    }
    for (text, message) in [
        ("p=web", "'e' is missing"),
        ("e=", "'e' is missing"),
        ("e=xx", "'e' is no kind of event"),
        ("e=PV", "'e' is no kind of event"),
        ("e=pv&p=fax", "'p' is no platform"),
    ] {
        assert_eq!(mapped(text).expect_err(text).message, message);
    }
}

#[test]
fn long_values_are_refused_by_their_utf16_length() {
    for (param, most) in [
        ("uid", 255),
        ("url", 10_000),
        ("refr", 10_000),
        ("page", 2_000),
        ("ua", 1_000),
    ] {
        assert!(
            mapped(&format!("e=pv&{param}={}", "é".repeat(most))).is_ok(),
            "{param}"
        );
        assert!(
            mapped(&format!("e=pv&{param}={}", "x".repeat(most + 1))).is_err(),
            "{param}"
        );
        assert!(
            mapped(&format!("e=pv&{param}={}", "😀".repeat(most / 2 + 1))).is_err(),
            "{param}"
        );
    }
}

#[test]
fn times_are_milliseconds() {
    let read = |text: &'static str| times(&query(text).expect("reads"), 5, 6);
    let got = read("dtm=1&stm=2&ttm=3").expect("reads");
    assert_eq!(
        (got.created, got.sent, got.truth),
        (Some(1), Some(2), Some(3))
    );
    assert_eq!((got.collector, got.etl), (5, 6));
    for wrong in ["dtm=x", "stm=1.5", "ttm=999999999999999"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}
