//! A server that answers as the test wants: for registries that lie, break off or redirect.
//!
//! One thread a connection, one answer a request, the connection closed after each.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The headers, names in lower case.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// A header; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// `GET /path?query`
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Where the range that is asked for begins.
    pub fn range(&self) -> Option<usize> {
        self.header("range").strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body. Its length is told, also to `HEAD`.
    pub body: Vec<u8>,
    /// Break off after this many bytes of the body.
    pub cut: Option<usize>,
    /// Say nothing of the length: the end of the connection is the end of the body.
    pub unmeasured: bool,
}

impl Answer {
    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// Bytes.
    pub fn bytes(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, body: body.into(), ..Self::default() }
    }

    /// The same with one more header.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// The first byte of a TLS handshake.
const TLS: u8 = 22;

type Rule = dyn Fn(&Asked) -> Answer + Send + Sync;

/// A running server.
pub struct Script {
    port: u16,
    seen: Arc<Mutex<Vec<Asked>>>,
    ends: Arc<AtomicBool>,
}

impl Script {
    /// Serves by a rule.
    pub fn start(rule: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let script = Self {
            port: listener.local_addr()?.port(),
            seen: Arc::default(),
            ends: Arc::new(AtomicBool::new(false)),
        };
        let (rule, seen, ends): (Arc<Rule>, _, _) =
            (Arc::new(rule), script.seen.clone(), script.ends.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let (rule, seen) = (rule.clone(), seen.clone());
                // A peer that goes away early is no failure of the server.
                std::thread::spawn(move || serve(stream, &*rule, &seen).ok());
            }
        });
        Ok(script)
    }

    /// `127.0.0.1:<port>`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What was asked so far.
    pub fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The request lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Asked::line).collect()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // One more connection, so that the thread looks.
        let _ = TcpStream::connect(self.address());
    }
}

fn serve(stream: TcpStream, rule: &Rule, seen: &Mutex<Vec<Asked>>) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    if reader.fill_buf()?.first() == Some(&TLS) {
        // As any server of plain HTTP answers to the beginning of a TLS handshake.
        return Ok((&stream).write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")?);
    }
    let asked = read(&mut reader)?;
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
    let answer = rule(&asked);
    let mut head = format!("HTTP/1.1 {} {}\r\nConnection: close\r\n", answer.status, reason(answer.status));
    if !answer.unmeasured {
        head += &format!("Content-Length: {}\r\n", answer.body.len());
    }
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let mut stream = stream;
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if asked.method != "HEAD" {
        let length = answer.body.len();
        stream.write_all(&answer.body[..answer.cut.unwrap_or(length).min(length)])?;
    }
    Ok(())
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        401 => "Unauthorized",
        404 => "Not Found",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Scripted",
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Result<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_owned);
    let mut asked = Asked {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        ..Asked::default()
    };
    anyhow::ensure!(!asked.path.is_empty(), "no request");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        asked.headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = asked.header("content-length").parse().unwrap_or(0);
    asked.body = vec![0; length];
    reader.read_exact(&mut asked.body)?;
    Ok(asked)
}
