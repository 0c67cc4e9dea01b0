//! GEO_COUNTRY: the country of an IP address, from a MaxMind database.

use super::scalar::{Function, Kind, rows_of, text_at};
use arrow::array::StringViewArray;
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;
use maxminddb::{PathElement, Reader};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A database of countries (GeoLite2-Country, GeoIP2-City or any MMDB with `country.iso_code`),
/// held in memory.
pub struct GeoDatabase {
    path: PathBuf,
    reader: Reader<Vec<u8>>,
}

impl fmt::Debug for GeoDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeoDatabase")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A database cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the GeoIP database {path} cannot be read: {reason}; give the path of an MMDB file")]
pub struct GeoError {
    path: String,
    reason: String,
}

impl GeoDatabase {
    /// Reads a database.
    ///
    /// # Errors
    /// There is no such file, or it is no MMDB.
    pub fn open(path: &Path) -> Result<Self, GeoError> {
        let reader = Reader::open_readfile(path).map_err(|error| GeoError {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            path: path.to_owned(),
            reader,
        })
    }

    /// The ISO 3166-1 code of the address's country; `None` for private and unknown addresses,
    /// and for text that is no address.
    #[must_use]
    pub fn country(&self, address: &str) -> Option<String> {
        let address: IpAddr = address.trim().parse().ok()?;
        let address = match address {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
            IpAddr::V4(_) => address,
        };
        if !is_public(address) {
            return None;
        }
        let path = [PathElement::Key("country"), PathElement::Key("iso_code")];
        // A database of addresses of version 4 alone gives an error for those of version 6.
        self.reader
            .lookup(address)
            .ok()?
            .decode_path::<String>(&path)
            .ok()?
    }
}

/// GEO_COUNTRY(ip); NULL without a database.
pub(super) fn function(database: Option<Arc<GeoDatabase>>) -> ScalarUDF {
    let variant = database
        .as_ref()
        .map_or(String::new(), |geo| geo.path.display().to_string());
    Function::new(
        "geo_country",
        &[Kind::Text],
        0,
        DataType::Utf8View,
        move |args| {
            let countries =
                (0..rows_of(args)).map(|row| database.as_ref()?.country(text_at(&args[0], row)?));
            Arc::new(countries.collect::<StringViewArray>())
        },
    )
    .variant(variant)
    .udf()
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    // RFC 6598: between a provider and its customers.
    let is_shared = v4.octets()[0] == 100 && (64..128).contains(&v4.octets()[1]);
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_unspecified()
        || v4.is_broadcast()
        || is_shared)
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    !(v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::super::scalar::call;
    use super::*;
    use datafusion::common::ScalarValue;
    use std::io::Write;

    fn text(out: &mut Vec<u8>, text: &str) {
        out.push(0x40 | text.len() as u8);
        out.extend_from_slice(text.as_bytes());
    }

    fn number(out: &mut Vec<u8>, name: &str, kind: u8, value: u8) {
        text(out, name);
        out.extend_from_slice(&[kind << 5 | 1, value]);
    }

    /// An MMDB of one node: 0.0.0.0/1 is in Germany, the rest is unknown.
    fn database() -> Vec<u8> {
        let mut out = vec![0, 0, 1 + 16, 0, 0, 1];
        out.extend_from_slice(&[0; 16]);
        out.push(0xE1);
        text(&mut out, "country");
        out.push(0xE1);
        text(&mut out, "iso_code");
        text(&mut out, "DE");
        out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        out.push(0xE0 | 9);
        number(&mut out, "node_count", 6, 1);
        number(&mut out, "record_size", 5, 24);
        number(&mut out, "ip_version", 5, 4);
        number(&mut out, "binary_format_major_version", 5, 2);
        number(&mut out, "binary_format_minor_version", 5, 0);
        text(&mut out, "build_epoch");
        out.extend_from_slice(&[1, 2, 1]);
        text(&mut out, "database_type");
        text(&mut out, "Test");
        text(&mut out, "languages");
        out.extend_from_slice(&[0, 4]);
        text(&mut out, "description");
        out.push(0xE0);
        out
    }

    #[test]
    fn public_addresses_have_a_country() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&database()).unwrap();
        let geo = function(Some(Arc::new(GeoDatabase::open(file.path()).unwrap())));
        for (address, want) in [
            ("8.8.8.8", Some("DE")),
            (" 8.8.8.8 ", Some("DE")),
            ("::ffff:8.8.8.8", Some("DE")),
            ("200.1.1.1", None),
            ("10.0.0.1", None),
            ("100.64.0.1", None),
            ("127.0.0.1", None),
            ("2001:4860:4860::8888", None),
            ("fd00::1", None),
            ("8.8.8.x", None),
            ("", None),
        ] {
            let got = call(&geo, &[ScalarValue::from(address)]).unwrap();
            assert_eq!(
                got,
                ScalarValue::Utf8View(want.map(str::to_owned)),
                "{address}"
            );
        }
    }

    #[test]
    fn without_a_database_all_is_null() {
        assert!(
            call(&function(None), &[ScalarValue::from("8.8.8.8")])
                .unwrap()
                .is_null()
        );
    }

    #[test]
    fn a_file_that_is_no_database_is_named() {
        let error = GeoDatabase::open(Path::new("/no/such/file.mmdb"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/no/such/file.mmdb") && error.contains("MMDB"),
            "{error}"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(GeoDatabase::open(file.path()).is_err());
    }
}
