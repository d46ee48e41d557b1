//! JSON (RFC 8259) read as far as tokens and key rings need it: the members of objects that mean something, by name, without a copy
//! where a text has no escapes. What means nothing is held to the grammar and passed over.
//!
//! serde_json reads the same; it is the oracle of the tests here. Its code would be a quarter of the WebAssembly module.

use super::decimal::Decimal;
use super::value::Value;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// How many lists and objects may lie in each other where what is in them is looked at.
const MAX_DEPTH: usize = 127;

/// How many digits a number may have before its point: no float is larger.
const MAX_DIGITS: usize = 309;

/// What is wrong, at the byte where the reader stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It is no JSON, or lies too deep.
    Syntax,
    /// It is, but something else than was expected.
    Form,
}

/// A text that is read from the beginning.
pub(crate) struct Json<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

/// The members of an object with these names, [`Value::Absent`] where there is none. None where the text is anything else, or has one of
/// them twice.
pub(crate) fn object<'a, const COUNT: usize>(
    json: &'a [u8],
    names: &[&str; COUNT],
) -> Option<[Value<'a>; COUNT]> {
    let mut reader = Json::new(core::str::from_utf8(json).ok()?);
    let mut values = [const { Value::Absent }; COUNT];
    reader.members(names, &mut values, false).ok()?;
    reader.end().ok()?;
    Some(values)
}

impl<'a> Json<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// The line and the column where the reader stands, from 1.
    pub(crate) fn position(&self) -> (usize, usize) {
        let before = self.text.as_bytes().get(..self.at).unwrap_or_default();
        let line = before.iter().filter(|&&byte| byte == b'\n').count();
        let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count();
        (line.saturating_add(1), column.saturating_add(1))
    }

    /// Nothing may follow but space.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        if self.peek().is_none() { Ok(()) } else { Err(Fault::Syntax) }
    }

    /// Reads an object, and its members with these names each into its place. One that is there twice is a fault, and so, when it is
    /// `strict`, is one that has none of the names.
    pub(crate) fn members(
        &mut self,
        names: &[&str],
        values: &mut [Value<'a>],
        strict: bool,
    ) -> Result<(), Fault> {
        self.object(&mut |reader, name| {
            let place = names.iter().position(|known| *known == name);
            match place.and_then(|place| values.get_mut(place)) {
                Some(value @ Value::Absent) => *value = reader.value()?,
                None if !strict => reader.skip()?,
                _ => return Err(Fault::Form),
            }
            Ok(())
        })
    }

    /// Reads an object: calls `member` with each name, to read the value.
    pub(crate) fn object(
        &mut self,
        member: &mut dyn FnMut(&mut Self, &str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.items(b'{', b'}', &mut |reader| {
            let name = reader.string()?;
            reader.colon()?;
            member(reader, &name)
        })
    }

    /// Reads a list: calls `item` for each, to read it.
    pub(crate) fn list(&mut self, item: &mut dyn FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        self.items(b'[', b']', item)
    }

    fn items(
        &mut self,
        open: u8,
        close: u8,
        item: &mut dyn FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        match self.peek() {
            Some(byte) if byte == open => self.step(),
            // Whether a value of another kind is one shows later, or not at all.
            Some(_) => return Err(Fault::Form),
            None => return Err(Fault::Syntax),
        }
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return Err(Fault::Syntax);
        }
        if self.peek() == Some(close) {
            self.step();
        } else {
            loop {
                item(self)?;
                match self.peek() {
                    Some(b',') => self.step(),
                    Some(byte) if byte == close => break self.step(),
                    _ => return Err(Fault::Syntax),
                }
            }
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }

    fn colon(&mut self) -> Result<(), Fault> {
        if self.peek() != Some(b':') {
            return Err(Fault::Syntax);
        }
        self.step();
        Ok(())
    }

    /// Reads a value, whatever it is.
    fn value(&mut self) -> Result<Value<'a>, Fault> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'[') => self.texts(),
            Some(b'{') => {
                self.object(&mut |reader, _| reader.skip())?;
                Ok(Value::Other)
            }
            Some(b'n') => self.word("null").map(|()| Value::Null),
            Some(b't') => self.word("true").map(|()| Value::Other),
            Some(b'f') => self.word("false").map(|()| Value::Other),
            _ => self.number(),
        }
    }

    /// Reads a list of texts. One of other values is read to its end as well.
    fn texts(&mut self) -> Result<Value<'a>, Fault> {
        let mut texts = Vec::new();
        let mut only_texts = true;
        self.list(&mut |reader| {
            match reader.value()? {
                Value::Text(text) if only_texts => texts.push(text),
                Value::Text(_) => {}
                _ => only_texts = false,
            }
            Ok(())
        })?;
        Ok(if only_texts { Value::Texts(texts) } else { Value::Other })
    }

    /// Passes over a value, however deep it is, with a stack of its own.
    fn skip(&mut self) -> Result<(), Fault> {
        let mut open = Vec::new();
        loop {
            match self.peek() {
                Some(byte @ (b'[' | b'{')) => {
                    self.step();
                    // In ASCII its other half is two further on.
                    let close = byte.saturating_add(2);
                    if self.peek() != Some(close) {
                        open.push(close);
                        self.member(close)?;
                        continue;
                    }
                    self.step();
                }
                Some(b'"') => self.skip_string()?,
                Some(b'n') => self.word("null")?,
                Some(b't') => self.word("true")?,
                Some(b'f') => self.word("false")?,
                _ => _ = self.numeral()?,
            }
            // The value is over, and so may be what it lies in.
            loop {
                let Some(&close) = open.last() else { return Ok(()) };
                match self.peek() {
                    Some(b',') => {
                        self.step();
                        self.member(close)?;
                        break;
                    }
                    Some(byte) if byte == close => {
                        self.step();
                        open.pop();
                    }
                    _ => return Err(Fault::Syntax),
                }
            }
        }
    }

    /// Passes over the name of a member that is in what ends so: a list has none.
    fn member(&mut self, close: u8) -> Result<(), Fault> {
        if close == b']' {
            return Ok(());
        }
        self.peek();
        self.skip_string()?;
        self.colon()
    }

    /// Reads a text.
    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.quote()?;
        let start = self.at;
        let mut copy = String::new();
        let mut from = start;
        loop {
            match self.byte() {
                Some(b'"') => {
                    let piece = self.text.get(from..self.at).unwrap_or_default();
                    self.step();
                    if from == start {
                        return Ok(Cow::Borrowed(piece));
                    }
                    copy.push_str(piece);
                    return Ok(Cow::Owned(copy));
                }
                Some(b'\\') => {
                    copy.push_str(self.text.get(from..self.at).unwrap_or_default());
                    copy.push(self.escape()?);
                    from = self.at;
                }
                Some(b' '..) => self.step(),
                _ => return Err(Fault::Syntax),
            }
        }
    }

    fn skip_string(&mut self) -> Result<(), Fault> {
        self.quote()?;
        loop {
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.step();
                    match self.byte() {
                        Some(b'u') => _ = self.unit()?,
                        Some(byte) if short_escape(byte).is_some() => self.step(),
                        _ => return Err(Fault::Syntax),
                    }
                }
                Some(b' '..) => self.step(),
                _ => return Err(Fault::Syntax),
            }
        }
        self.step();
        Ok(())
    }

    fn quote(&mut self) -> Result<(), Fault> {
        if self.peek() != Some(b'"') {
            return Err(Fault::Syntax);
        }
        self.step();
        Ok(())
    }

    /// Reads what begins with a backslash.
    fn escape(&mut self) -> Result<char, Fault> {
        self.step();
        let byte = self.byte().ok_or(Fault::Syntax)?;
        if byte != b'u' {
            self.step();
            return short_escape(byte).map(char::from).ok_or(Fault::Syntax);
        }
        let mut code = u32::from(self.unit()?);
        if (0xd800..0xdc00).contains(&code) {
            // The first half of a character of two.
            if self.byte() != Some(b'\\') {
                return Err(Fault::Syntax);
            }
            self.step();
            let second = u32::from(self.unit()?);
            if !(0xdc00..0xe000).contains(&second) {
                return Err(Fault::Syntax);
            }
            code = (((code & 0x3ff) << 10) | (second & 0x3ff)).saturating_add(0x1_0000);
        }
        char::from_u32(code).ok_or(Fault::Syntax)
    }

    /// Reads a `u` and four hexadecimal digits.
    fn unit(&mut self) -> Result<u16, Fault> {
        if self.byte() != Some(b'u') {
            return Err(Fault::Syntax);
        }
        self.step();
        let mut unit = 0_u16;
        for _ in 0..4 {
            let digit = self.byte().and_then(|byte| char::from(byte).to_digit(16)).ok_or(Fault::Syntax)?;
            unit = (unit << 4) | u16::try_from(digit).unwrap_or(0);
            self.step();
        }
        Ok(unit)
    }

    /// Reads a number.
    fn number(&mut self) -> Result<Value<'a>, Fault> {
        let (numeral, whole) = self.numeral()?;
        // `-0` is a float to others, so that it is no user's id.
        if whole
            && numeral != "-0"
            && let Ok(number) = numeral.parse()
        {
            return Ok(Value::Integer(number));
        }
        let number = Decimal::parse(numeral);
        if number.digits_before_point() > MAX_DIGITS {
            return Err(Fault::Syntax);
        }
        Ok(Value::Decimal(number))
    }

    /// Passes over a number, and gives it and whether it has neither point nor exponent.
    fn numeral(&mut self) -> Result<(&'a str, bool), Fault> {
        self.peek();
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.step();
        }
        match self.byte() {
            Some(b'0') => self.step(),
            _ => self.digits()?,
        }
        let mut whole = true;
        if self.byte() == Some(b'.') {
            whole = false;
            self.step();
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            whole = false;
            self.step();
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.step();
            }
            self.digits()?;
        }
        // `01` is no number, and nothing else either.
        if matches!(self.byte(), Some(b'0'..=b'9')) {
            return Err(Fault::Syntax);
        }
        Ok((self.text.get(start..self.at).unwrap_or_default(), whole))
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.step();
        }
        if self.at == start { Err(Fault::Syntax) } else { Ok(()) }
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(Fault::Syntax);
        }
        self.at = self.at.saturating_add(word.len());
        Ok(())
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.step();
        }
        self.byte()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }
}

/// What a letter behind a backslash stands for.
const fn short_escape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' | b'/' => Some(byte),
        b'b' => Some(0x08),
        b'f' => Some(0x0c),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::string_slice, clippy::indexing_slicing, reason = "what fails here is a failed test")]
mod tests;
