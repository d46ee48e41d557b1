//! `pbac demo`: the whole job on a private throwaway database.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use crate::context::Context;
use crate::demo::{Cast, LegacySize, Performed, Stage, files, open, script};
use crate::error::HostError;
use crate::exit::Exit;
use crate::policy_file;
use crate::postgres::{Cluster, ClusterOptions, Identifier};
use crate::report::{Report, style};

/// The name of the demo's database.
const DATABASE: &str = "erp";
/// Fewer people do not show every role, and inactive accounts of some.
const FEWEST_USERS: i64 = 1_000;

/// The arguments of `pbac demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many people the legacy database has
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(FEWEST_USERS..=10_000_000))]
    users: u32,
    /// Leave the database up afterwards, and say how to connect to it
    #[arg(long)]
    keep: bool,
}

/// What the demo did.
#[derive(Debug, Serialize)]
struct Summary {
    legacy: LegacySize,
    steps: Vec<Performed>,
    milliseconds: u128,
    kept: Option<Kept>,
}

/// A database that stays.
#[derive(Debug, Serialize)]
struct Kept {
    database_url: String,
    directory: PathBuf,
    stop: String,
}

/// Runs the demo.
///
/// # Errors
///
/// When there is no server to start, or a step does not end as it must.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let began = Instant::now();
    let say = |text: &str| if context.output.is_json() { Ok(()) } else { context.output.show_text(text) };

    let cluster = tokio::task::spawn_blocking(move || {
        // What is kept is meant to last, so it is written safely.
        Cluster::start(&ClusterOptions { durable: args.keep, ..ClusterOptions::default() })
    })
    .await
    .map_err(|error| {
        HostError::failed(format_args!("cannot start a private PostgreSQL server: {error}"))
    })??;
    cluster.create_database(&Identifier::new(DATABASE)?).await?;
    let url = cluster.url(DATABASE);
    say(&heading(
        "A private PostgreSQL server",
        "nothing of yours is touched: its own directory, a socket, no port",
        began,
    ))?;

    let directory = tempfile::Builder::new()
        .prefix("pbac-demo-")
        .tempdir()
        .map_err(|error| HostError::file("create", &std::env::temp_dir(), &error))?;
    let started = Instant::now();
    let mut connection = open(&url).await?;
    let legacy = LegacySize::create(&mut connection, args.users).await?;
    let cast = Cast::find(&mut connection).await?;
    drop(connection);
    say(&heading(
        "A legacy database",
        "hard-coded roles in a native enum, as applications have them",
        started,
    ))?;
    say(&format!(
        "    {} users with {} roles, {} of them inactive, {} with no word on whether they are active\n",
        legacy.users, legacy.roles, legacy.inactive, legacy.unsaid
    ))?;

    say(&catalog()?)?;

    let coloured = !context.output.is_json() && std::io::stdout().is_terminal();
    let stage = Stage::set(directory.path(), url.clone(), coloured)?;
    let mut steps = Vec::new();
    for scene in script(&cast) {
        let performed = stage.perform(&scene).await?;
        say(&shown(scene.title, &performed))?;
        steps.push(performed);
    }
    let kept = if args.keep { Some(keep(cluster, directory, url)?) } else { None };
    let summary = Summary { legacy, steps, milliseconds: began.elapsed().as_millis(), kept };
    context.output.show(&summary)?;
    Ok(Exit::Done)
}

/// The policy that will be put in force, module by module.
fn catalog() -> Result<String, HostError> {
    let began = Instant::now();
    let policy = policy_file::parse(files::POLICY, "policy.toml")?.policy;
    let mut modules: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in policy.permissions() {
        let count = modules.entry(entry.module.as_str()).or_default();
        *count = count.saturating_add(1);
    }
    let counts: Vec<String> = modules.iter().map(|(module, count)| format!("{module} {count}")).collect();
    let mut text =
        heading("A policy file", "every name, pattern, inheritance and limit was checked before use", began);
    text.push_str(&format!(
        "    {} permissions in {} modules: {}\n    {} roles, {} conflicts between duties\n",
        policy.permissions().len(),
        modules.len(),
        counts.join(", "),
        policy.roles().len(),
        policy.conflicts().len()
    ));
    Ok(text)
}

fn keep(cluster: Cluster, directory: tempfile::TempDir, database_url: String) -> Result<Kept, HostError> {
    let server = cluster.keep()?;
    Ok(Kept { database_url, directory: directory.keep(), stop: server.stop_command })
}

fn heading(title: &str, proves: &str, began: Instant) -> String {
    format!("\n{} ({} ms)\n  proves: {proves}\n", style::heading(title), began.elapsed().as_millis())
}

fn shown(title: &str, step: &Performed) -> String {
    let mut text = format!(
        "\n{} ({} ms)\n  proves: {}\n    $ {}\n",
        style::heading(title),
        step.milliseconds,
        step.proves,
        step.command
    );
    for line in step.printed.lines() {
        text.push_str("    ");
        text.push_str(line);
        text.push('\n');
    }
    if step.status != 0 {
        text.push_str(&format!("    (status {})\n", step.status));
    }
    text
}

impl Report for Summary {
    fn people(&self) -> String {
        let mut text = format!(
            "\n{} {} users went from roles to permissions, back, and over again, in {} steps and {:.1} s\n",
            style::good("done:"),
            self.legacy.users,
            self.steps.len(),
            std::time::Duration::from_millis(u64::try_from(self.milliseconds).unwrap_or(u64::MAX))
                .as_secs_f64()
        );
        if let Some(kept) = &self.kept {
            text.push_str(&format!(
                "\nThe database stays up:\n  psql '{url}'\n  cd {directory} && DATABASE_URL='{url}' {program} status\nTo stop the server:\n  {stop}\n",
                url = kept.database_url,
                directory = kept.directory.display(),
                program = program(),
                stop = kept.stop
            ));
        }
        text
    }
}

/// How this program was called, or its plain name.
fn program() -> String {
    let path = std::env::current_exe().unwrap_or_else(|_| Path::new("pbac").to_path_buf());
    path.display().to_string()
}
