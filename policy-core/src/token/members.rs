//! The members of a JSON object that mean something to us. One reader for all objects: what is derived for a type of its
//! own each would be most of the code of the WebAssembly module.

use super::value::Value;
use core::fmt;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// The text of a JSON object: UTF-8 (RFC 8259 section 8.1).
pub(super) fn object<'a, const COUNT: usize>(
    json: &'a [u8],
    names: &[&str; COUNT],
) -> Option<[Value<'a>; COUNT]> {
    let text = core::str::from_utf8(json).ok()?;
    let mut values = [const { Value::Absent }; COUNT];
    let mut reader = serde_json::Deserializer::from_str(text);
    Members { names, values: &mut values, strict: false }.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(values)
}

/// Reads the members with these names, each into its place. One that is there twice is an error, and so, when it is `strict`, is one
/// that has none of the names.
pub(super) struct Members<'m, 'a> {
    pub(super) names: &'m [&'m str],
    /// As many as names, and [`Value::Absent`] each.
    pub(super) values: &'m mut [Value<'a>],
    pub(super) strict: bool,
}

impl<'de> DeserializeSeed<'de> for Members<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(place) = map.next_key_seed(Name(self.names))? {
            match place.and_then(|place| self.values.get_mut(place)) {
                Some(value @ Value::Absent) => *value = map.next_value()?,
                None if !self.strict => _ = map.next_value::<IgnoredAny>()?,
                _ => return Err(A::Error::custom("a member is there twice, or not known")),
            }
        }
        Ok(())
    }
}

/// Reads the name of a member, and gives its place among these, if it has one.
pub(super) struct Name<'n>(pub(super) &'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|known| *known == name))
    }
}
