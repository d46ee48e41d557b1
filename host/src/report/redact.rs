//! Takes the secrets out of what is shown.

use url::Url;

/// Query parameters of a connection URL whose values are secret.
const SECRET_PARAMETERS: [&str; 3] = ["password", "sslpassword", "passfile"];

/// What stands where a secret was.
const MASK: &str = "***";

/// The URL with its passwords masked; nothing of a text that is no URL, since where its secret lies cannot be known.
///
/// ```
/// use pbac::report::redact_url;
///
/// assert_eq!(redact_url("postgres://app:s3cret@db/erp"), "postgres://app:***@db/erp");
/// assert_eq!(redact_url("postgres:///erp?host=/run&password=s3cret"), "postgres:///erp?host=/run&password=***");
/// assert_eq!(redact_url("app:s3cret@db"), "***");
/// ```
#[must_use]
pub fn redact_url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return MASK.to_owned();
    };
    if !is_database_scheme(&url) {
        return MASK.to_owned();
    }
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    if let Some(query) = url.query() {
        let shown: Vec<String> = query.split('&').map(mask_parameter).collect();
        let shown = shown.join("&");
        url.set_query(Some(&shown));
    }
    url.to_string()
}

/// Whether the URL carries a password, in its authority or in a parameter.
#[must_use]
pub fn holds_password(url: &Url) -> bool {
    url.password().is_some_and(|password| !password.is_empty())
        || url.query_pairs().any(|(name, _)| is_secret_parameter(&name))
}

/// Whether the URL names a PostgreSQL database.
#[must_use]
pub fn is_database_scheme(url: &Url) -> bool {
    matches!(url.scheme(), "postgres" | "postgresql")
}

fn mask_parameter(pair: &str) -> String {
    let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
    match decoded {
        Some((name, _)) if is_secret_parameter(&name) => format!("{name}={MASK}"),
        _ => pair.to_owned(),
    }
}

fn is_secret_parameter(name: &str) -> bool {
    SECRET_PARAMETERS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

#[cfg(test)]
mod tests {
    use super::redact_url;

    #[test]
    fn no_part_of_a_secret_stays() {
        for url in [
            "postgres://u:SENTINEL@h/d",
            "postgresql://:SENTINEL@h:5432/d?sslmode=require",
            "postgres://h/d?password=SENTINEL",
            "postgres://h/d?%70assword=SENTINEL&a=b",
            "postgres://h/d?PASSWORD=SENTINEL",
            "postgres://h/d?sslpassword=SENTINEL",
            "postgres://u:SENTINEL@h1,h2/d",
            "host=h password=SENTINEL",
            "u:SENTINEL@h",
            "mailto:SENTINEL@h",
            "",
        ] {
            let shown = redact_url(url);
            assert!(!shown.contains("SENTINEL"), "{url} gave {shown}");
        }
    }

    #[test]
    fn the_rest_stays() {
        assert_eq!(
            redact_url("postgres://u@h:5433/d?sslmode=require"),
            "postgres://u@h:5433/d?sslmode=require"
        );
    }
}
