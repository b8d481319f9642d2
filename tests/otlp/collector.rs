//! A collector as far as an exporter sees it: HTTP on a port of this machine that keeps what it is sent.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Read as _, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The request line and the headers, names in small letters.
    pub head: String,
    pub body: Vec<u8>,
}

pub struct Collector {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<Mutex<bool>>,
}

impl Collector {
    /// Answers after a time, or never.
    pub fn start(after: Option<Duration>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, stop): (Arc<Mutex<Vec<Request>>>, Arc<Mutex<bool>>) = Default::default();
        let (kept, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                if *stopped.lock().unwrap() {
                    return;
                }
                let stream = stream.unwrap();
                match after {
                    Some(after) => {
                        let kept = Arc::clone(&kept);
                        std::thread::spawn(move || serve(stream, after, &kept));
                    }
                    None => open.push(stream),
                }
            }
        });
        Self { port, requests, stop }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        *self.stop.lock().unwrap() = true;
        // Wakes it up to see that.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn serve(stream: TcpStream, after: Duration, kept: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(1..) => {}
                _ => return,
            }
            if line.trim().is_empty() {
                break;
            }
            match line.split_once(": ") {
                Some((name, value)) => writeln!(head, "{}: {}", name.to_lowercase(), value.trim()).unwrap(),
                None => head.push_str(&line),
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
        reader.read_exact(&mut body).unwrap();
        kept.lock().unwrap().push(Request { head, body });
        std::thread::park_timeout(after);
        if writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}
