//! Reads SQL files and compiles them.

use crate::cli::QueryArgs;
use crate::error::CliError;
use crate::redirect::redirects;
use std::path::Path;
use std::sync::Arc;
use tidewheel_core::{Registry, SourceText};
use tidewheel_sql::plan::Program;

/// Everything that this binary can read and write.
pub(crate) fn registry() -> Registry {
    let mut registry = tidewheel_connectors::registry();
    tidewheel_formats::register(&mut registry);
    registry
}

/// The texts of all files.
pub(crate) fn texts(args: &QueryArgs) -> Result<Vec<Arc<SourceText>>, CliError> {
    let mut texts = Vec::new();
    for path in &args.paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(CliError::io(format!(
                "cannot read the folder {}",
                path.display()
            )))?;
            let mut files: Vec<_> = entries
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .filter(|file| file.extension().is_some_and(|e| e == "sql") && file.is_file())
                .collect();
            files.sort();
            if files.is_empty() {
                return Err(CliError::Usage(format!(
                    "the folder {} holds no *.sql file",
                    path.display()
                )));
            }
            for file in files {
                texts.push(text(&file)?);
            }
        } else if path.exists() || path.as_os_str() == "-" {
            texts.push(text(path)?);
        } else {
            return Err(CliError::Usage(format!(
                "there is no file or folder {}; name a *.sql file or a folder of them",
                path.display()
            )));
        }
    }
    Ok(texts)
}

fn text(path: &Path) -> Result<Arc<SourceText>, CliError> {
    let what = format!("cannot read {}", path.display());
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let name = if path.as_os_str() == "-" {
        "<stdin>".into()
    } else {
        path.display().to_string()
    };
    Ok(Arc::new(SourceText {
        name,
        text: text.map_err(CliError::io(what))?,
    }))
}

/// Compiles the files, with the redirections of the command line.
pub(crate) fn program(args: &QueryArgs, registry: &Registry) -> Result<Program, CliError> {
    let texts = texts(args)?;
    let mut context = tidewheel_sql::CompileContext::new(registry);
    context.environment = std::env::vars().collect();
    context.sets = redirects(args)?;
    tidewheel_sql::compile(&texts, &context).map_err(CliError::Sql)
}
