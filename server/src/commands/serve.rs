//! `tidewheel serve`.

use crate::cli::ServeArgs;
use crate::config::Config;
use crate::error::CliError;
use crate::redirect::sets_of;

/// The settings that flags give: setting, flag, value.
pub(super) fn flags(args: &ServeArgs) -> Vec<(&'static str, &'static str, String)> {
    let yes = |flag: bool| flag.then(|| "true".to_owned());
    let number = |number: Option<u16>| number.map(|number| number.to_string());
    let folder = args
        .folder
        .as_ref()
        .map(|folder| folder.display().to_string());
    [
        ("serve.folder", "DIR", folder),
        ("serve.listen", "--listen", args.listen.clone()),
        ("serve.read-only", "--read-only", yes(args.read_only)),
        ("serve.insecure", "--insecure", yes(args.insecure)),
        ("serve.from", "--from", args.from.clone()),
        ("serve.into", "--into", args.into.clone()),
        ("engine.shards", "--shards", number(args.shards)),
        ("engine.decoders", "--decoders", number(args.decoders)),
    ]
    .into_iter()
    .filter_map(|(key, flag, value)| Some((key, flag, value?)))
    .chain(args.checkpoints.flags())
    .chain(args.memory.flags())
    .collect()
}

/// Serves until Ctrl-C.
pub(crate) fn serve(args: &ServeArgs, config: &Config, json: bool) -> Result<(), CliError> {
    let given = |key: &str| Some(config.text(key)).filter(|text| !text.is_empty());
    // The flags' options win over the file's.
    let mut texts = config.sets();
    texts.extend(args.sets.iter().cloned());
    let sets = sets_of(given("serve.from"), given("serve.into"), &texts)?;
    crate::serve::run(config, sets, json)
}
