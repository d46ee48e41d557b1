//! `pbac routes`: the route table of the gateway.

use std::path::PathBuf;

use policy_core::route::{RouteEntry, RouteTable};
use serde::Serialize;

use crate::context::Context;
use crate::endpoints::openapi::OpenApi;
use crate::endpoints::{self, from_openapi, from_rules};
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::files::write_whole;
use crate::report::{Report, Table};

/// The arguments of `pbac routes`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What the table does not name is denied (docs/routes.md). Status 8 when an operation does not say what it asks for."
)]
pub struct Args {
    /// The endpoint rules that it is made of [default: those of the settings]
    #[arg(long, value_name = "FILE")]
    endpoints: Option<PathBuf>,
    /// The OpenAPI 3 document in JSON that it is made of: each operation has an `x-permission`, a permission or `none`
    #[arg(long, value_name = "FILE", conflicts_with = "endpoints")]
    openapi: Option<PathBuf>,
    /// A route that asks for nothing, such as `GET /health`; may be given several times
    #[arg(long = "public", value_name = "METHOD PATH")]
    public: Vec<String>,
    /// The file to write; it is replaced whole or not at all
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The table: what is written is what `--json` prints.
#[derive(Debug, Serialize)]
struct Routes {
    routes: Vec<Route>,
}

#[derive(Debug, Serialize)]
struct Route {
    method: String,
    path: String,
    permission: String,
}

impl Report for Routes {
    fn people(&self) -> String {
        let mut table = Table::new(["METHOD", "PATH", "PERMISSION"]);
        for route in &self.routes {
            table.row([route.method.as_str(), &route.path, &route.permission]);
        }
        table.to_string()
    }
}

/// Makes it.
///
/// # Errors
///
/// When the rules or the document cannot be read, say too little, or make no table.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let mut entries = match (&args.openapi, args.endpoints.or_else(|| context.config.endpoints.clone())) {
        (Some(path), _) => from_openapi(&OpenApi::load(path)?)?,
        (None, Some(path)) => from_rules(&endpoints::load(&path)?),
        (None, None) => {
            return Err(HostError::usage("name the endpoint rules: --endpoints FILE, or --openapi FILE"));
        }
    };
    for route in &args.public {
        let (method, path) = route.split_once(' ').ok_or_else(|| {
            HostError::usage(format_args!(
                "`{route}` is no route: write a method, a space and a path, `GET /health`"
            ))
        })?;
        entries.push(RouteEntry {
            method: method.to_owned(),
            path: path.to_owned(),
            permission: "none".to_owned(),
        });
    }
    RouteTable::new(&entries).map_err(HostError::failed)?;
    let route = |RouteEntry { method, path, permission }| Route { method, path, permission };
    let routes = Routes { routes: entries.into_iter().map(route).collect() };
    if let Some(path) = &args.output {
        let json = serde_json::to_string_pretty(&routes).map_err(HostError::failed)?;
        write_whole(path, format!("{json}\n").as_bytes())?;
    }
    context.output.show(&routes)?;
    Ok(Exit::Done)
}
