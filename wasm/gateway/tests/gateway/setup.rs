//! A gateway with a small policy, and tokens for it.
use hmac::{Hmac, KeyInit, Mac};
use pbac_gateway::{Config, ConfigError, Gateway, LoadError};
use policy_core::keys::KeyId;
use policy_core::signed::{BundleSigner, attach};
use policy_core::{
    Effect, Label, Override, Pattern, Permission, PermissionName, Policy, PolicyParts, Role, RoleName,
    Timestamp, UserId, UserRoles, encode,
};
use serde_json::{Value, json};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_000);
/// When the bundles of the tests expire, in seconds.
pub(crate) const END: i64 = 5_000;

pub(crate) struct Setup {
    pub(crate) bundle: Option<Vec<u8>>,
    /// Members that are added to the configuration, or replace one of it.
    pub(crate) more: Value,
}

impl Default for Setup {
    fn default() -> Self {
        Self { bundle: Some(bundle(&["po.approve", "po.view"])), more: json!({}) }
    }
}

#[derive(Debug)]
pub(crate) enum Refused {
    Config(ConfigError),
    Load(LoadError),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Load(error) => error.fmt(f),
        }
    }
}

impl Setup {
    /// With a source of newer bundles, and so with a signed one.
    pub(crate) fn refreshed() -> Self {
        let public = URL_SAFE_NO_PAD.encode(publisher().public());
        Self {
            bundle: Some(published(&bundle(&["po.approve", "po.view"]), 5)),
            more: json!({
                "trusted_keys": [{ "kid": "publisher", "x": public }],
                "refresh": { "cluster": "bundles", "path": "/v1/bundle" },
            }),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let mut json = json!({
            "ring": ring(),
            "route_table": { "routes": [
                { "method": "GET", "path": "/po/{id}", "permission": "po.view" },
                { "method": "POST", "path": "/po/{id}/approve", "permission": "po.approve" },
                { "method": "GET", "path": "/health", "permission": "none" },
                { "method": "GET", "path": "/typo", "permission": "po.aprove" },
            ] },
        });
        if let Some(bundle) = &self.bundle {
            json["bundle"] = STANDARD.encode(bundle).into();
        }
        for (member, value) in self.more.as_object().unwrap() {
            json[member] = value.clone();
        }
        json
    }

    pub(crate) fn gateway(&self) -> Result<Gateway, Refused> {
        let config = Config::from_json(self.json().to_string().as_bytes()).map_err(Refused::Config)?;
        Gateway::new(config, None, NOW).map_err(Refused::Load)
    }
}

/// A bundle of a policy with this catalog.
pub(crate) fn bundle(catalog: &[&str]) -> Vec<u8> {
    let permission = |name: &&str| Permission {
        name: PermissionName::parse(name).unwrap(),
        module: Label::parse("purchasing").unwrap(),
        description: String::new(),
    };
    let role = |name: &str, grants: &[&str]| Role {
        grants: grants.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
        ..Role::named(RoleName::parse(name).unwrap())
    };
    let denied = Override {
        user: UserId::parse("9").unwrap(),
        effect: Effect::Deny,
        pattern: Pattern::parse("po.approve").unwrap(),
        expires_at: None,
        reason: String::new(),
    };
    let stored =
        UserRoles { user: UserId::parse("stored").unwrap(), roles: vec![RoleName::parse("CLERK").unwrap()] };
    let policy = Policy::new(PolicyParts {
        permissions: catalog.iter().map(permission).collect(),
        roles: vec![role("Purchasing Head", &["po.*"]), role("CLERK", &["po.view"])],
        users: vec![stored],
        overrides: vec![denied],
        ..PolicyParts::default()
    });
    encode(&policy.unwrap()).unwrap()
}

pub(crate) fn publisher() -> BundleSigner {
    BundleSigner::new(KeyId::parse("publisher").unwrap(), &[7; 32])
}

/// A signature and the bundle that it signs.
pub(crate) fn published(bundle: &[u8], sequence: u64) -> Vec<u8> {
    let signature = publisher().sign(bundle, sequence, Timestamp::from_seconds(END)).unwrap();
    attach(&signature, bundle)
}

/// The secret of the key of this name. Each is another one.
fn secret(kid: &str) -> Vec<u8> {
    format!("{kid}-q3J9tq7pV0m2Zx8sLw4nB6yR1cK5dF-hGjT_uEoAiXk").into_bytes()
}

/// A signature and the settings that it signs.
pub(crate) fn published_settings(settings: &Value, sequence: u64) -> Vec<u8> {
    let settings = settings.to_string();
    let signature = publisher().sign_settings(settings.as_bytes(), sequence, Timestamp::from_seconds(END));
    attach(&signature, settings.as_bytes())
}

/// With a source of keys and routes too, and none of them to begin with.
pub(crate) fn without_settings() -> Setup {
    let mut setup = Setup::refreshed();
    setup.more["ring"] = Value::Null;
    setup.more["route_table"] = Value::Null;
    setup.more["refresh"]["settings_path"] = "/v1/settings".into();
    setup
}

pub(crate) fn ring() -> Value {
    let key = |kid: &str, more: Value| {
        let mut key =
            json!({ "kty": "oct", "kid": kid, "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(secret(kid)) });
        for (member, value) in more.as_object().unwrap() {
            key[member] = value.clone();
        }
        key
    };
    let retired =
        |until: i64| json!({ "state": "retired", "since": 500_000_000, "not_after": until * 1_000_000 });
    json!({
        "keys": [
            key("k1", json!({ "state": "active", "since": null })),
            key("k0", retired(1_500)),
            key("gone", retired(900)),
        ],
        "revoked": [{ "kid": "stolen", "at": 0 }],
        "rules": { "leeway": 0, "issuers": [], "audiences": [] },
    })
}

/// A token with these claims by the key of this name.
pub(crate) fn token(kid: &str, claims: &Value) -> String {
    let header = json!({ "alg": "HS256", "typ": "JWT", "kid": kid });
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", encode(&header), encode(claims));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&secret(kid)).unwrap();
    mac.update(signed.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{signed}.{signature}")
}

pub(crate) fn headers(headers: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}
