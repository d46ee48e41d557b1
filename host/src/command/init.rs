//! `pbac init`: a first policy, from what is there.

use serde::Serialize;
use sqlx::Connection;

use super::database::connect_to_read;
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::inspect::{Database, Notes, Preset, Remark, RemarkKind};
use crate::report::{Report, printable, style};

/// The arguments of `pbac init`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The framework whose tables these are [default: the one that is recognised]
    #[arg(long, value_name = "NAME", value_enum)]
    preset: Option<Preset>,
    /// What is meant where the database leaves a choice, such as `guard=web` (may be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    choose: Vec<String>,
}

/// What an inspection found.
#[derive(Debug, Serialize)]
struct Inspection {
    database: String,
    preset: Option<Preset>,
    remarks: Vec<Remark>,
}

/// Looks at the database and says what is there.
///
/// # Errors
///
/// When the database cannot be read, or a choice is none.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let mut notes = Notes::new(&args.choose)?;
    let mut connection = connect_to_read(context).await?;
    let database = Database::read(&mut connection, &context.config.schema).await?;
    connection.close().await.map_err(HostError::failed)?;
    let preset = recognise(args.preset, &database, &mut notes);
    let inspection = Inspection { database: database.name, preset, remarks: notes.into_remarks() };
    context.output.show(&inspection)?;
    let stops = inspection.remarks.iter().any(|remark| remark.kind == RemarkKind::Stop);
    Ok(if stops { Exit::NeedsPerson } else { Exit::Done })
}

fn recognise(asked: Option<Preset>, database: &Database, notes: &mut Notes) -> Option<Preset> {
    let candidates: Vec<Preset> = match asked {
        Some(preset) => vec![preset],
        None => {
            Preset::FRAMEWORKS.into_iter().filter(|preset| !preset.schemas(database).is_empty()).collect()
        }
    };
    match candidates.as_slice() {
        [preset] if preset.schemas(database).is_empty() => {
            notes.stop(preset.tables(), format_args!("these tables of `{}` are not all here", preset.name()));
            None
        }
        [preset] => {
            notes.found(preset.tables(), format_args!("these are the tables of `{}`", preset.name()));
            Some(*preset)
        }
        [] => {
            notes.stop(&database.name, "no framework is recognised; name one with --preset");
            None
        }
        several => {
            let names: Vec<&str> = several.iter().map(|preset| preset.name()).collect();
            notes.stop(
                &database.name,
                format_args!("tables of {} are here; say with --preset which counts", names.join(", ")),
            );
            None
        }
    }
}

impl Report for Inspection {
    fn people(&self) -> String {
        let name = self.preset.map_or("nothing", Preset::name);
        let mut text =
            format!("{} `{}` holds {name}\n", style::heading("Inspected:"), printable(&self.database));
        for remark in &self.remarks {
            text.push_str(&line(remark));
        }
        text
    }
}

fn line(remark: &Remark) -> String {
    let kind = match remark.kind {
        RemarkKind::Found => style::good("found:"),
        RemarkKind::Guessed => style::caution("guessed:"),
        RemarkKind::Unsure => style::caution("not sure:"),
        RemarkKind::NotLookedAt => style::caution("not looked at:"),
        RemarkKind::Stop => style::bad("stop:"),
    };
    format!("{kind} {}: {}\n", printable(&remark.about), printable(&remark.text))
}
