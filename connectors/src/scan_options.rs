//! Options that sources with partitions and offsets share.

use std::collections::BTreeMap;
use tidewheel_core::{ConnectorError, Options};

/// Reads an option such as `partition:0,offset:42;partition:1,offset:300`, as Flink writes it.
pub(crate) fn specific_offsets(
    options: &Options,
    option: &str,
) -> Result<BTreeMap<u32, u64>, ConnectorError> {
    let text = options.get(option).unwrap_or_default();
    let parsed: Option<BTreeMap<u32, u64>> = text
        .split(';')
        .filter(|item| !item.trim().is_empty())
        .map(|item| {
            let (partition, offset) = item.split_once(',')?;
            let partition = partition
                .trim()
                .strip_prefix("partition:")?
                .trim()
                .parse()
                .ok()?;
            let offset = offset.trim().strip_prefix("offset:")?.trim().parse().ok()?;
            Some((partition, offset))
        })
        .collect();
    parsed.filter(|offsets| !offsets.is_empty()).ok_or_else(|| {
        ConnectorError::option(
            option,
            format!(
                "'{text}' cannot be read; write for each partition where to be, as in \
                 'partition:0,offset:42;partition:1,offset:300'"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<(u32, u64)>> {
        let options: Options = [("o", text)].into_iter().collect();
        Some(specific_offsets(&options, "o").ok()?.into_iter().collect())
    }

    #[test]
    fn offsets_read_as_flink_writes_them() {
        let two = Some(vec![(0, 42), (1, 300)]);
        assert_eq!(read("partition:0,offset:42;partition:1,offset:300"), two);
        assert_eq!(
            read(" partition: 1, offset: 300 ; partition:0,offset:42; "),
            two
        );
        for wrong in [
            "",
            ";",
            "0:42",
            "partition:0",
            "partition:0,offset:-1",
            "offset:1,partition:0",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
