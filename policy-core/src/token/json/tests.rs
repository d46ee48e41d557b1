use super::*;
use alloc::string::ToString;
use core::fmt;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

const SAMPLES: [&str; 16] = [
    r#"{"a":"text","b":[],"x":{"y":[1,{"z":null}],"":""}}"#,
    r#" { "a" : [ "one" , "t\u00e9\ud83d\ude00\n" ] , "b" : -12.5e+3 } "#,
    r#"{"a":true,"b":false,"c":null}"#,
    r#"{"a":9223372036854775807,"b":-9223372036854775808,"c":9223372036854775808}"#,
    r#"{"a":0,"b":-0,"c":0.0,"d":1e400}"#,
    r#"{"x":1e400,"y":"\ud800","a":1}"#,
    r#"{"a":"\ud800"}"#,
    r#"{"a":"\udc00\ud800"}"#,
    r#"{"a":[["deep"],{"er":[]}],"b":["x",1]}"#,
    r#"{"a":"é\"\\\/\b\f\n\r\t","b":"\u0000"}"#,
    "{\"a\":\"\u{7f}\u{80}\"}",
    "[1]",
    "{}",
    "\"a\"",
    r#"{"a":01}"#,
    r#"{"\u0061":1,"b":[]}"#,
];

/// What serde_json makes of a value.
#[derive(PartialEq, Debug)]
enum Theirs {
    Null,
    Other,
    Integer(i64),
    Decimal,
    Text(String),
    Texts(Vec<String>),
}

impl<'de> Deserialize<'de> for Theirs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Theirs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Theirs, E> {
        Ok(Theirs::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Theirs, E> {
        Ok(Theirs::Other)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Theirs, E> {
        Ok(Theirs::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Theirs, E> {
        Ok(i64::try_from(value).map_or(Theirs::Decimal, Theirs::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Theirs, E> {
        Ok(Theirs::Decimal)
    }

    fn visit_str<E>(self, value: &str) -> Result<Theirs, E> {
        Ok(Theirs::Text(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Theirs, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element::<Theirs>()? {
            items.push(item);
        }
        let texts = items.into_iter().map(|item| match item {
            Theirs::Text(text) => Some(text),
            _ => None,
        });
        Ok(texts.collect::<Option<_>>().map_or(Theirs::Other, Theirs::Texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Theirs, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Theirs::Other)
    }
}

/// An object's members `a` and `b`.
struct Object([Option<Theirs>; 2]);

impl<'de> Visitor<'de> for Object {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let place = match name.as_str() {
                "a" => &mut self.0[0],
                "b" => &mut self.0[1],
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if place.is_some() {
                return Err(A::Error::custom("twice"));
            }
            *place = Some(map.next_value()?);
        }
        Ok(self)
    }
}

fn theirs(text: &str) -> Option<[Option<Theirs>; 2]> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let object = reader.deserialize_map(Object([None, None])).ok()?;
    reader.end().ok()?;
    Some(object.0)
}

fn ours(value: Value<'_>) -> Option<Theirs> {
    Some(match value {
        Value::Absent => return None,
        Value::Null => Theirs::Null,
        Value::Other => Theirs::Other,
        Value::Integer(number) => Theirs::Integer(number),
        Value::Decimal(_) => Theirs::Decimal,
        Value::Text(text) => Theirs::Text(text.into_owned()),
        Value::Texts(texts) => Theirs::Texts(texts.into_iter().map(Cow::into_owned).collect()),
    })
}

fn compare(text: &str) {
    let found = object(text.as_bytes(), &["a", "b"]).map(|values| values.map(ours));
    assert_eq!(found, theirs(text), "{text}");
}

#[test]
fn reads_what_serde_json_reads() {
    // The same numbers each run (xorshift).
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for sample in SAMPLES {
        compare(sample);
        for at in (0..sample.len()).filter(|&at| sample.is_char_boundary(at)) {
            compare(&sample[..at]);
        }
    }
    let alphabet: Vec<char> = "{}[]\":,\\u0d8c9abeE+-.1 \n\u{1}é/ntf".chars().collect();
    let (mut read, mut refused) = (0, 0);
    for _ in 0..200_000 {
        let mut text: Vec<char> = SAMPLES[random(SAMPLES.len())].chars().collect();
        for _ in 0..1 + random(3) {
            let at = random(text.len());
            match random(4) {
                0 => text[at] = alphabet[random(alphabet.len())],
                1 => text.insert(at, alphabet[random(alphabet.len())]),
                2 if text.len() > 1 => drop(text.remove(at)),
                _ => {
                    let piece = text[at..text.len().min(at + 1 + random(9))].to_vec();
                    text.splice(at..at, piece);
                }
            }
        }
        let text: String = text.into_iter().collect();
        compare(&text);
        *if theirs(&text).is_some() { &mut read } else { &mut refused } += 1;
    }
    assert!(read > 10_000 && refused > 10_000, "{read} read, {refused} refused");
}

#[test]
fn depth_is_bounded_where_it_is_looked_at() {
    for depth in [1, 100, 125, 126, 127, 128, 129, 3000] {
        let lists = "[".repeat(depth) + &"]".repeat(depth);
        compare(&["{\"a\":", &lists, "}"].concat());
        compare(&["{\"x\":", &lists, "}"].concat());
        let objects = "{\"k\":".repeat(depth) + "1" + &"}".repeat(depth);
        compare(&["{\"b\":[", &objects, "]}"].concat());
        compare(&["{\"x\":", &objects, "}"].concat());
    }
}

#[test]
fn says_where_it_stands() {
    let mut reader = Json::new("{\n \"a\": 1,\n  \"a\": 2}");
    let mut values = [Value::Absent];
    assert_eq!(reader.members(&["a"], &mut values, false), Err(Fault::Form));
    assert_eq!(reader.position(), (3, 7));
    assert_eq!(
        Json::new("").members(&[], &mut [], false).map_err(|fault| (fault == Fault::Syntax).to_string()),
        Err("true".to_string())
    );
}
