//! `tidewheel config`.

use crate::cli::ConfigArgs;
use crate::config::{Config, example, show};
use crate::error::CliError;
use crate::out;
use comfy_table::{Table, presets};

/// Prints what is in force, or a file to begin with.
pub(crate) fn config(args: &ConfigArgs, config: &Config, json: bool) -> Result<(), CliError> {
    if args.example {
        out::print(&example());
        return Ok(());
    }
    let shown = show(config);
    if json {
        let all: Vec<_> = shown.iter().map(crate::config::Shown::json).collect();
        out::line(&serde_json::Value::from(all).to_string());
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["SETTING", "VALUE", "FROM"]);
    for line in shown {
        let value = if line.value.is_empty() {
            "-".to_owned()
        } else {
            line.value
        };
        table.add_row([line.key, value, line.from]);
    }
    out::line(&table.trim_fmt());
    Ok(())
}
