//! What the operating system says of this process.

/// Bytes in memory and seconds of CPU; `None` where there is no `/proc`.
pub(super) fn usage() -> Option<(u64, f64)> {
    let memory = crate::memory::resident()?;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may hold spaces; user and system time are the 14th and 15th field.
    let after = stat.rsplit_once(')')?.1;
    let mut fields = after.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    // Linux counts in hundredths of a second, whatever the kernel's own tick is.
    Some((memory, (user + system) as f64 / 100.0))
}
