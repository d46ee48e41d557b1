//! `pbac bundle publisher`: the key that signs bundles, and what others verify them with.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy_core::keys::{Algorithm, KeyId};
use policy_core::signed::BundleSigner;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::KeyMaterial;
use crate::report::Report;
use crate::report::files::{read_bytes, write_whole_as};

/// The most bytes that the file of a key has.
const MAX_BYTES: u64 = 4096;

/// The arguments of `pbac bundle publisher`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Prints the public key as a gateway's `trusted_keys` have it.")]
pub struct Args {
    /// The file to write, with mode 0600; one that is there is kept
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// The file of a key: a JSON Web Key (RFC 8037 section 2).
#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: Zeroizing<String>,
    crv: Zeroizing<String>,
    kid: String,
    x: Zeroizing<String>,
    d: Zeroizing<String>,
}

/// What others verify with.
#[derive(Debug, Serialize)]
struct Public {
    kid: String,
    x: String,
}

impl Report for Public {
    fn people(&self) -> String {
        format!("{{\"kid\":\"{}\",\"x\":\"{}\"}}\n", self.kid, self.x)
    }
}

/// Makes one.
///
/// # Errors
///
/// When the file is there already or cannot be written.
pub fn run(args: &Args, context: &Context) -> Result<Exit, HostError> {
    let path = &args.output;
    if path.try_exists().map_err(|error| HostError::file("look for", path, &error))? {
        return Err(HostError::refused(format_args!("`{}` is there already", path.display()))
            .help("name another file: without the old key nothing that it signed can be replaced where it alone is trusted"));
    }
    let material = KeyMaterial::generate(Algorithm::EdDsa)?;
    let id = KeyMaterial::new_id()?;
    let signer = signer(&id, material.bytes())?;
    let text = |bytes: &[u8]| Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes));
    let jwk = Jwk {
        kty: Zeroizing::new("OKP".to_owned()),
        crv: Zeroizing::new("Ed25519".to_owned()),
        kid: id.to_string(),
        x: text(&signer.public()),
        d: text(material.bytes()),
    };
    let json =
        serde_json::to_vec(&jwk).map_err(|error| HostError::failed(format_args!("no JSON: {error}")))?;
    write_whole_as(path, &Zeroizing::new(json), 0o600)?;
    context.output.show(&Public { kid: id.to_string(), x: (*jwk.x).clone() })?;
    Ok(Exit::Done)
}

/// Reads the file of a key.
///
/// # Errors
///
/// When it cannot be read, or is none. Nothing of it is quoted.
pub(super) fn read(path: &Path) -> Result<BundleSigner, HostError> {
    let bytes = Zeroizing::new(read_bytes(path, MAX_BYTES)?);
    let wrong = || {
        HostError::usage(format_args!("`{}` is no key that signs bundles", path.display()))
            .help("let `pbac bundle publisher` make one")
    };
    let jwk: Jwk = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
    if *jwk.kty != "OKP" || *jwk.crv != "Ed25519" {
        return Err(wrong());
    }
    let id = KeyId::parse(&jwk.kid).map_err(|_| wrong())?;
    let seed = Zeroizing::new(URL_SAFE_NO_PAD.decode(jwk.d.as_bytes()).map_err(|_| wrong())?);
    let signer = signer(&id, &seed).map_err(|_| wrong())?;
    if URL_SAFE_NO_PAD.encode(signer.public()) == *jwk.x { Ok(signer) } else { Err(wrong()) }
}

fn signer(id: &KeyId, seed: &[u8]) -> Result<BundleSigner, HostError> {
    let seed = seed.try_into().map(Zeroizing::new);
    let seed: Zeroizing<[u8; 32]> = seed.map_err(|_| HostError::failed("the key does not have 32 bytes"))?;
    Ok(BundleSigner::new(id.clone(), &seed))
}
