//! A database made by hand, as the format's specification has it.

use super::*;
use std::io::Write as _;

/// A value of the data section.
enum Value {
    Text(&'static str),
    Double(f64),
    Map(Vec<(&'static str, Value)>),
    List(Vec<Value>),
}
use Value::{Double, List, Map, Text};

fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Text(text) => {
            // Lengths from 29 on take a second byte.
            match u8::try_from(text.len()).expect("short") {
                length @ 0..29 => out.push(2 << 5 | length),
                length => out.extend([2 << 5 | 29, length - 29]),
            }
            out.extend_from_slice(text.as_bytes());
        }
        Double(number) => {
            out.push(3 << 5 | 8);
            out.extend(number.to_be_bytes());
        }
        Map(pairs) => {
            out.push(7 << 5 | pairs.len() as u8);
            for (name, value) in pairs {
                write(out, &Text(name));
                write(out, value);
            }
        }
        List(values) => {
            out.extend([values.len() as u8, 11 - 7]);
            values.iter().for_each(|value| write(out, value));
        }
    }
}

/// One node: addresses below 128.0.0.0 have the data, all others none.
fn database(data: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for record in [1_u32 + 16, 1] {
        out.extend_from_slice(&record.to_be_bytes()[1..]);
    }
    out.extend_from_slice(&[0; 16]);
    write(&mut out, data);
    out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    let number = |out: &mut Vec<u8>, name, kind: u8, value: u8| {
        write(out, &Text(name));
        // An unsigned number of one byte; kind 5 has 16 bits, kind 6 has 32.
        out.extend([kind << 5 | 1, value]);
    };
    out.push(7 << 5 | 9);
    number(&mut out, "node_count", 6, 1);
    number(&mut out, "record_size", 5, 24);
    number(&mut out, "ip_version", 5, 4);
    number(&mut out, "binary_format_major_version", 5, 2);
    number(&mut out, "binary_format_minor_version", 5, 0);
    write(&mut out, &Text("build_epoch"));
    out.extend([1, 2, 1]);
    write(&mut out, &Text("database_type"));
    write(&mut out, &Text("Test"));
    write(&mut out, &Text("languages"));
    write(&mut out, &List(Vec::new()));
    write(&mut out, &Text("description"));
    write(&mut out, &Map(Vec::new()));
    out
}

fn opened(data: &Value) -> Places {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&database(data)).expect("writes");
    Places::open(file.path()).expect("opens")
}

fn names(name: &'static str) -> Value {
    Map(vec![("en", Text(name))])
}

#[test]
fn an_address_has_its_place() {
    let places = opened(&Map(vec![
        ("country", Map(vec![("iso_code", Text("DE"))])),
        ("city", Map(vec![("names", names("Bremen"))])),
        ("postal", Map(vec![("code", Text("28195"))])),
        (
            "location",
            Map(vec![
                ("latitude", Double(53.0758)),
                ("longitude", Double(8.8072)),
                ("time_zone", Text("Europe/Berlin")),
            ]),
        ),
        (
            "subdivisions",
            List(vec![Map(vec![
                ("iso_code", Text("HB")),
                ("names", names("Free Hanseatic City")),
            ])]),
        ),
    ]));
    for address in ["8.8.8.8", "::ffff:8.8.8.8"] {
        let mut columns = Columns::default();
        places.set(&mut columns, address);
        for (at, want) in [
            (column::GEO_COUNTRY, "DE"),
            (column::GEO_CITY, "Bremen"),
            (column::GEO_ZIPCODE, "28195"),
            (column::GEO_LATITUDE, "53.0758"),
            (column::GEO_LONGITUDE, "8.8072"),
            (column::GEO_TIMEZONE, "Europe/Berlin"),
            (column::GEO_REGION, "HB"),
            (column::GEO_REGION_NAME, "Free Hanseatic City"),
        ] {
            assert_eq!(columns.text(at), want, "{address}");
        }
    }
    for address in ["200.1.1.1", "2001:db8::1", "unknown", ""] {
        let mut columns = Columns::default();
        places.set(&mut columns, address);
        assert_eq!(columns.get(column::GEO_COUNTRY), None, "{address}");
    }
}

#[test]
fn a_database_of_countries_gives_the_country() {
    let places = opened(&Map(vec![("country", Map(vec![("iso_code", Text("FR"))]))]));
    let mut columns = Columns::default();
    places.set(&mut columns, "1.2.3.4");
    assert_eq!(columns.text(column::GEO_COUNTRY), "FR");
    assert_eq!(columns.get(column::GEO_CITY), None);
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let error = Places::open(Path::new("/no/such/file.mmdb")).expect_err("is not there");
    assert!(error.to_string().contains("/no/such/file.mmdb"), "{error}");
}
