//! JSON into the output buffer, which may be full: serde_json's own writer could not say so.

use crate::buffer::Output;
use crate::code::Code;
use crate::memory::Limit;
use alloc::string::String;
use core::fmt::{self, Display, Write};
use serde::ser::{Error, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

/// Writes a value.
pub(crate) fn write(output: &mut Output, value: &impl Serialize) -> Result<(), Code> {
    value.serialize(Json { output }).map_err(|Full| Code::OutOfMemory)
}

/// A value as JSON, for a host that gives as much memory as it takes. Empty for what this crate and policy-core do not write.
#[must_use]
pub fn to_json(value: &impl Serialize) -> String {
    let mut output = Output::new();
    match write(output.begin(Limit(usize::MAX)), value) {
        Ok(()) => String::from_utf8(output.into_bytes()).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

/// There is no memory for more output.
#[derive(Debug)]
pub(crate) struct Full;

impl Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no memory for more output")
    }
}

impl core::error::Error for Full {}

impl Error for Full {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

impl From<Code> for Full {
    fn from(_: Code) -> Self {
        Self
    }
}

impl From<fmt::Error> for Full {
    fn from(_: fmt::Error) -> Self {
        Self
    }
}

struct Json<'o> {
    output: &'o mut Output,
}

/// A list or object that is being written.
struct Compound<'o> {
    output: &'o mut Output,
    any: bool,
    end: &'static str,
}

type No = Impossible<(), Full>;

impl<'o> Json<'o> {
    fn text(mut self, text: &str) -> Result<(), Full> {
        self.output.push(b"\"")?;
        // Every byte that JSON escapes is a character of its own.
        for piece in text.as_bytes().split_inclusive(|&byte| escaped(byte)) {
            match piece.split_last() {
                Some((&last, before)) if escaped(last) => {
                    self.output.push(before)?;
                    self.escape(last)?;
                }
                _ => self.output.push(piece)?,
            }
        }
        Ok(self.output.push(b"\"")?)
    }

    fn escape(&mut self, byte: u8) -> Result<(), Full> {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            other => return Ok(write!(self.output, "\\u{other:04x}")?),
        };
        Ok(self.output.push(short.as_bytes())?)
    }

    fn open(self, begin: &str, end: &'static str) -> Result<Compound<'o>, Full> {
        self.output.push(begin.as_bytes())?;
        Ok(Compound { output: self.output, any: false, end })
    }
}

const fn escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

impl Compound<'_> {
    fn separate(&mut self) -> Result<(), Full> {
        if self.any {
            self.output.push(b",")?;
        }
        self.any = true;
        Ok(())
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Full> {
        value.serialize(Json { output: self.output })
    }

    fn close(self) -> Result<(), Full> {
        Ok(self.output.push(self.end.as_bytes())?)
    }
}

impl SerializeSeq for Compound<'_> {
    type Ok = ();
    type Error = Full;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Full> {
        self.separate()?;
        self.value(value)
    }

    fn end(self) -> Result<(), Full> {
        self.close()
    }
}

impl SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Full;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Full> {
        self.separate()?;
        self.value(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Full> {
        self.output.push(b":")?;
        self.value(value)
    }

    fn end(self) -> Result<(), Full> {
        self.close()
    }
}

impl SerializeStruct for Compound<'_> {
    type Ok = ();
    type Error = Full;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Full> {
        self.serialize_entry(key, value)
    }

    fn end(self) -> Result<(), Full> {
        self.close()
    }
}

/// What the values of this crate and of policy-core are made of; anything else is an error.
impl<'o> Serializer for Json<'o> {
    type Ok = ();
    type Error = Full;
    type SerializeSeq = Compound<'o>;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = Compound<'o>;
    type SerializeStruct = Compound<'o>;
    type SerializeStructVariant = No;

    fn serialize_bool(self, value: bool) -> Result<(), Full> {
        Ok(self.output.push(if value { b"true" } else { b"false" })?)
    }

    fn serialize_i64(self, value: i64) -> Result<(), Full> {
        Ok(write!(self.output, "{value}")?)
    }

    fn serialize_u64(self, value: u64) -> Result<(), Full> {
        Ok(write!(self.output, "{value}")?)
    }

    fn serialize_str(self, value: &str) -> Result<(), Full> {
        self.text(value)
    }

    fn serialize_none(self) -> Result<(), Full> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Full> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Full> {
        Ok(self.output.push(b"null")?)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Full> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Full> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'o>, Full> {
        self.open("[", "]")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'o>, Full> {
        self.open("{", "}")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'o>, Full> {
        self.open("{", "}")
    }

    fn serialize_i8(self, value: i8) -> Result<(), Full> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Full> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Full> {
        self.serialize_i64(value.into())
    }

    fn serialize_u8(self, value: u8) -> Result<(), Full> {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Full> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Full> {
        self.serialize_u64(value.into())
    }

    fn serialize_f32(self, _: f32) -> Result<(), Full> {
        Err(Full)
    }

    fn serialize_f64(self, _: f64) -> Result<(), Full> {
        Err(Full)
    }

    fn serialize_char(self, _: char) -> Result<(), Full> {
        Err(Full)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Full> {
        Err(Full)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Full> {
        Err(Full)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Full> {
        Err(Full)
    }

    fn serialize_tuple(self, _: usize) -> Result<No, Full> {
        Err(Full)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<No, Full> {
        Err(Full)
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<No, Full> {
        Err(Full)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<No, Full> {
        Err(Full)
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Result<(), Full> {
        Err(Full)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use alloc::vec;
    use policy_core::{Decision, Denial, Explanation, Grant, NearMiss, Rule, Timestamp};

    fn written(value: &impl Serialize) -> String {
        let mut output = Output::new();
        write(output.begin(Limit::DEFAULT), value).unwrap();
        String::from_utf8(output.bytes().to_vec()).unwrap()
    }

    #[test]
    fn writes_what_serde_json_writes() {
        let role = Rule::Role { role: "a\"b\\c\n\u{1}é", pattern: "po.*", through: "" };
        let rule = Rule::Override {
            effect: policy_core::Effect::Deny,
            pattern: "*",
            expires_at: Some(Timestamp::from_micros(-7)),
            note: "\u{8}\u{c}\r\t\u{1f}",
        };
        let explanation = Explanation {
            decision: Decision::Allow(Grant::Role { role: "R", pattern: "po.*" }),
            winner: Some(role),
            shadowed: vec![rule, role],
            expired: vec![],
            nearest: Some(NearMiss { rule, matching_segments: 2 }),
            unknown_roles: vec!["x", "y"],
        };
        assert_eq!(written(&explanation), serde_json::to_string(&explanation).unwrap());
        let denied = Decision::Deny(Denial::NoGrant);
        assert_eq!(written(&denied), serde_json::to_string(&denied).unwrap());
        // What this crate does not write is refused, and not written wrongly.
        let mut output = Output::new();
        assert_eq!(write(output.begin(Limit::DEFAULT), &1.5), Err(Code::OutOfMemory));
    }

    #[test]
    fn stops_where_memory_ends() {
        let long = "x".repeat(1000);
        let mut output = Output::new();
        assert_eq!(write(output.begin(Limit(crate::memory::used() + 999)), &long), Err(Code::OutOfMemory));
    }
}
