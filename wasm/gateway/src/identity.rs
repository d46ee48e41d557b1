//! Who asked, as the application is told.

use policy_core::{Index, Roles, Timestamp};

/// The headers that the gateway sets, and nobody else.
pub const IDENTITY_HEADERS: [&str; 2] = [USER_ID, PERMISSIONS];

/// Whom the token is about.
pub(crate) const USER_ID: &str = "x-user-id";
/// What they may do, by name, separated by commas.
pub(crate) const PERMISSIONS: &str = "x-user-permissions";

/// Who asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The user's id, ready to be a header.
    pub user_id: String,
    /// Everything that they may do now; none where it would be too long for a header.
    pub permissions: Option<String>,
}

impl Identity {
    /// The user's id and permissions at `now`, the latter in `limit` bytes at most.
    #[must_use]
    pub fn of(index: &Index, user: &str, roles: Roles<'_>, now: Timestamp, limit: usize) -> Self {
        let mut permissions = Some(String::new());
        let session = index.session(user, roles, now);
        for id in session.permissions() {
            let name = index.permission(id);
            permissions = permissions.and_then(|list| append(list, name, limit));
        }
        Self { user_id: header_value(user), permissions }
    }
}

fn append(mut list: String, name: &str, limit: usize) -> Option<String> {
    if !list.is_empty() {
        list.push(',');
    }
    list.push_str(name);
    (list.len() <= limit).then_some(list)
}

/// A user id as a header may have it: what is not visible ASCII, and `%`, is percent-encoded, so that nobody's id ends the
/// header and begins another, and no two ids look the same.
fn header_value(id: &str) -> String {
    let mut value = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            value.push(char::from(byte));
        } else {
            value.push('%');
            for digit in [byte >> 4, byte & 15] {
                value.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
    value
}

/// Whether an application could take a header of this name for one of [`IDENTITY_HEADERS`].
pub(crate) fn is_ours(name: &str) -> bool {
    IDENTITY_HEADERS.iter().any(|ours| reads_as(name, ours))
}

/// Whether the least careful of applications takes a header called `name` for one called `wanted`, which is in lower case with
/// hyphens: CGI and WSGI turn hyphens into underscores, and some servers everything that is no letter or digit, whatever
/// the case.
pub(crate) fn reads_as(name: &str, wanted: &str) -> bool {
    let fold = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    name.len() == wanted.len() && name.bytes().map(fold).eq(wanted.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_header() {
        assert_eq!(header_value("42"), "42");
        assert_eq!(header_value("a\r\nx-admin: 1"), "a%0D%0Ax-admin:%201");
        assert_eq!(header_value("Zo\u{eb}%41"), "Zo%C3%AB%2541");
    }

    #[test]
    fn a_list_has_its_limit() {
        assert_eq!(append("a.b".to_owned(), "c.d", 7).as_deref(), Some("a.b,c.d"));
        assert_eq!(append("a.b".to_owned(), "c.d", 6), None);
    }
}
