//! The filter in a real Envoy, in front of a real server: what the client is told, and what the server really received.

#[path = "gateway/oracle.rs"]
mod oracle;
#[path = "gateway/refreshed.rs"]
mod refreshed;
#[path = "gateway/requests.rs"]
mod requests;
#[path = "gateway/settings.rs"]
mod settings;
#[path = "gateway/setup.rs"]
mod setup;
