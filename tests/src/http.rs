//! HTTP/1.1 byte by byte: a client that sends exactly what it is told to, and a server that keeps exactly what it got.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long anything on loopback may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// One message: a request or an answer.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The request line or the status line.
    pub line: String,
    /// Names in lower case, and values, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Message {
    /// The status of an answer.
    ///
    /// # Panics
    /// When it is none.
    pub fn status(&self) -> u16 {
        self.line.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status line")
    }

    /// The values of the headers of this name, in lower case.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    /// Reads one message with a `content-length`, or a chunked one; none at the end of the connection. An answer to HEAD says
    /// how long its body would be, and has none.
    fn read(stream: &mut BufReader<TcpStream>, has_body: bool) -> Option<Self> {
        let mut lines = Vec::new();
        loop {
            let line = line(stream)?;
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let mut lines = lines.into_iter();
        let mut message = Self { line: lines.next()?, ..Self::default() };
        for line in lines {
            let (name, value) = line.split_once(':')?;
            message.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if !has_body {
            return Some(message);
        }
        if message.values("transfer-encoding") == ["chunked"] {
            message.read_chunks(stream)?;
        } else if let Some(length) =
            message.values("content-length").first().and_then(|text| text.parse().ok())
        {
            message.body = vec![0; length];
            stream.read_exact(&mut message.body).ok()?;
        }
        Some(message)
    }

    /// Trailers are kept as if they were headers, as some servers do.
    fn read_chunks(&mut self, stream: &mut BufReader<TcpStream>) -> Option<()> {
        loop {
            let length = usize::from_str_radix(&line(stream)?, 16).ok()?;
            if length == 0 {
                break;
            }
            let start = self.body.len();
            self.body.resize(start + length, 0);
            stream.read_exact(self.body.get_mut(start..)?).ok()?;
            line(stream)?;
        }
        loop {
            let line = line(stream)?;
            let Some((name, value)) = line.split_once(':') else { return Some(()) };
            self.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut bytes = Vec::new();
    stream.read_until(b'\n', &mut bytes).ok()?;
    let line = bytes.strip_suffix(b"\n")?;
    Some(String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned())
}

/// A connection to a server on loopback.
#[derive(Debug)]
pub struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects; none where nobody listens.
    pub fn connect(port: u16) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self(BufReader::new(stream)))
    }

    /// Sends these bytes and reads one answer; none where the server hangs up instead.
    pub fn ask(&mut self, request: &[u8]) -> Option<Message> {
        self.0.get_mut().write_all(request).ok()?;
        Message::read(&mut self.0, !request.starts_with(b"HEAD "))
    }
}

/// Sends these bytes on a connection of their own and reads the answer.
///
/// # Panics
/// When there is none.
pub fn send(port: u16, request: &[u8]) -> Message {
    let answer = Client::connect(port).and_then(|mut client| client.ask(request));
    answer.unwrap_or_else(|| panic!("an answer to {:?}", String::from_utf8_lossy(request)))
}

/// A server on loopback that runs until the process ends.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens.
    pub port: u16,
    seen: Arc<Mutex<Vec<Message>>>,
}

impl Server {
    /// Starts one that keeps every request and answers as it is told.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port on loopback");
        let port = listener.local_addr().expect("an address").port();
        let server = Self { port, seen: Arc::default() };
        let (seen, answer) = (Arc::clone(&server.seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    let mut stream = BufReader::new(stream);
                    while let Some(request) = Message::read(&mut stream, true) {
                        let bytes = answer(&request);
                        seen.lock().expect("no test panics with it").push(request);
                        if stream.get_mut().write_all(&bytes).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        server
    }

    /// What has come since the last time.
    ///
    /// # Panics
    /// When a thread of the server panicked.
    pub fn take_seen(&self) -> Vec<Message> {
        std::mem::take(&mut self.seen.lock().expect("no test panics with it"))
    }
}

/// The bytes of an answer.
pub fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}
