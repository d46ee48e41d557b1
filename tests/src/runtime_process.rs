//! Runtimes in other languages: a program that reads one JSON object a line and answers each by one. `wasm/js/test/runner.mjs` and
//! its like are such programs.

use crate::runtime::Runtime;
use crate::world::Ask;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A program that runs the module.
#[derive(Debug)]
pub struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let input = child.stdin.take().expect("it has an input");
        let output = BufReader::new(child.stdout.take().expect("it has an output"));
        Self { child, input, output }
    }

    fn ask(&mut self, question: &Value) -> Result<Value, String> {
        writeln!(self.input, "{question}").map_err(|error| error.to_string())?;
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&line).map_err(|error| format!("{error}: `{line}`"))?;
        match answer.get("error") {
            Some(error) => Err(error.to_string()),
            None => Ok(answer),
        }
    }

    /// The member of an answer, as a list.
    fn list(&mut self, question: &Value, member: &str) -> Result<Vec<Value>, String> {
        let answer = self.ask(question)?;
        answer[member].as_array().cloned().ok_or_else(|| format!("no `{member}` in {answer}"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn question(ask: &Ask) -> Value {
    json!({ "user": ask.user, "roles": ask.roles, "permission": ask.permission, "now": ask.now.to_string() })
}

fn texts(value: &Value) -> Result<Vec<String>, String> {
    serde_json::from_value(value.clone()).map_err(|error| format!("{error}: {value}"))
}

impl Runtime for Program {
    fn load(&mut self, bundle: &[u8]) -> Result<(), String> {
        self.ask(&json!({ "load": { "bundle": STANDARD.encode(bundle) } })).map(drop)
    }

    fn decide(&mut self, asks: &[Ask]) -> Result<Vec<Value>, String> {
        let questions: Vec<Value> = asks.iter().map(question).collect();
        self.list(&json!({ "decide": questions }), "answers")
    }

    fn check(&mut self, asks: &[Ask]) -> Result<Vec<bool>, String> {
        let questions: Vec<Value> = asks.iter().map(question).collect();
        let allowed = self.list(&json!({ "check": questions }), "allowed")?;
        allowed.iter().map(|one| one.as_bool().ok_or_else(|| format!("`{one}` is no answer"))).collect()
    }

    fn session(&mut self, ask: &Ask) -> Result<(Vec<String>, Option<i64>), String> {
        let answer = self.ask(&json!({ "session": question(ask) }))?;
        let until = match &answer["valid_until"] {
            Value::Null => None,
            Value::String(text) => Some(text.parse().map_err(|error| format!("`{text}`: {error}"))?),
            other => return Err(format!("`{other}` is no time")),
        };
        // A component can say the largest number, which is what the module has for none (`wasm/ABI.md`, "Sessions").
        Ok((texts(&answer["permissions"])?, until.filter(|end| *end != i64::MAX)))
    }

    fn permissions_of(&mut self, ask: &Ask) -> Result<Vec<String>, String> {
        texts(&self.ask(&json!({ "permissions_of": question(ask) }))?["permissions"])
    }

    fn explain(&mut self, ask: &Ask) -> Result<Value, String> {
        self.ask(&json!({ "explain": question(ask) }))
    }

    fn verify(
        &mut self,
        document: &str,
        tokens: &[(String, i64)],
    ) -> Result<Vec<Result<Value, String>>, String> {
        self.ask(&json!({ "ring": document }))?;
        let tokens: Vec<Value> =
            tokens.iter().map(|(token, now)| json!({ "token": token, "now": now.to_string() })).collect();
        let answers = self.list(&json!({ "verify": tokens }), "answers")?;
        let read = |answer: &Value| match (answer.get("claims"), answer["error"].as_str()) {
            (Some(claims), None) => Ok(Ok(claims.clone())),
            (None, Some(reason)) => Ok(Err(reason.to_owned())),
            _ => Err(format!("`{answer}` is no answer")),
        };
        answers.iter().map(read).collect()
    }
}
