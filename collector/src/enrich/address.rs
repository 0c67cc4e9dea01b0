//! Where an IP address is, by a MaxMind database of cities.

use crate::columns::{self as column, Columns};
use maxminddb::{PathElement, Reader, geoip2};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// A database of cities or countries, held in memory.
pub struct Places {
    path: PathBuf,
    reader: Reader<Vec<u8>>,
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A database cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the GeoIP database {path} cannot be read: {reason}; give the path of an MMDB file")]
pub struct PlacesError {
    path: String,
    reason: String,
}

impl Places {
    /// Reads a database.
    ///
    /// # Errors
    /// There is no such file, or it is no MMDB.
    pub fn open(path: &Path) -> Result<Self, PlacesError> {
        let reader = Reader::open_readfile(path).map_err(|error| PlacesError {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            path: path.to_owned(),
            reader,
        })
    }

    /// Sets the columns of an address's place, as far as the database knows it.
    pub fn set(&self, columns: &mut Columns<'_>, address: &str) {
        let Ok(address) = address.parse::<IpAddr>() else {
            return;
        };
        let address = address.to_canonical();
        // A database of addresses of version 4 alone gives an error for those of version 6.
        let Ok(found) = self.reader.lookup(address) else {
            return;
        };
        // One that holds less than cities is read for the country alone.
        let Ok(Some(city)) = found.decode::<geoip2::City<'_>>() else {
            let path = [PathElement::Key("country"), PathElement::Key("iso_code")];
            if let Ok(Some(country)) = found.decode_path::<String>(&path) {
                columns.set(column::GEO_COUNTRY, country);
            }
            return;
        };
        let mut put = |at, text: Option<&str>| {
            if let Some(text) = text {
                columns.set(at, text.to_owned());
            }
        };
        put(column::GEO_COUNTRY, city.country.iso_code);
        put(column::GEO_CITY, city.city.names.english);
        put(column::GEO_ZIPCODE, city.postal.code);
        put(column::GEO_TIMEZONE, city.location.time_zone);
        if let Some(region) = city.subdivisions.first() {
            put(column::GEO_REGION, region.iso_code);
            put(column::GEO_REGION_NAME, region.names.english);
        }
        let number = |number: Option<f64>| number.filter(|n| n.is_finite()).map(|n| n.to_string());
        put(
            column::GEO_LATITUDE,
            number(city.location.latitude).as_deref(),
        );
        put(
            column::GEO_LONGITUDE,
            number(city.location.longitude).as_deref(),
        );
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
