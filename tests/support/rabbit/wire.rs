//! The first frames of AMQP 0-9-1 over plain TCP: enough to see that a broker answers and whom it lets in.

use std::{
    io::{Error, Result},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Sent first by every client: AMQP, version 0-9-1.
pub const HEADER: &[u8] = b"AMQP\0\0\x09\x01";
/// How long a healthy broker may take for one frame.
const PATIENCE: Duration = Duration::from_secs(5);
const FRAME_END: u8 = 0xce;

/// A method frame: class and method number as in the specification, and its arguments as bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Method {
    pub channel: u16,
    pub id: (u16, u16),
    pub arguments: Vec<u8>,
}

/// A connection, frame by frame.
pub struct Wire {
    stream: TcpStream,
}

/// Whether something at `address` greets like an AMQP broker.
pub async fn answers(address: &str) -> bool {
    Wire::greet(address).await.is_ok()
}

impl Wire {
    /// Connects and waits for `Connection.Start`.
    pub async fn greet(address: &str) -> Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await??;
        let mut wire = Self { stream };
        wire.stream.write_all(HEADER).await?;
        wire.expect((10, 10)).await?;
        Ok(wire)
    }

    /// Connects, logs in and opens the virtual host. The client understands `connection.blocked`.
    pub async fn log_in(address: &str, user: &str, password: &str, vhost: &str) -> Result<Self> {
        let mut wire = Self::greet(address).await?;
        let mut capabilities = short("connection.blocked");
        capabilities.extend([b't', 1]);
        let mut properties = short("capabilities");
        properties.push(b'F');
        properties.extend(long(&capabilities));
        let mut start_ok = long(&properties);
        start_ok.extend(short("PLAIN"));
        start_ok.extend(long(format!("\0{user}\0{password}").as_bytes()));
        start_ok.extend(short("en_US"));
        wire.send(0, (10, 11), &start_ok).await?;
        let mut tune_ok = wire.expect((10, 30)).await?.arguments;
        // No heartbeats: the tests that use this connection are shorter than any.
        let heartbeat = tune_ok.len() - 2;
        tune_ok[heartbeat..].fill(0);
        wire.send(0, (10, 31), &tune_ok).await?;
        let mut open = short(vhost);
        open.extend([0, 0]);
        wire.send(0, (10, 40), &open).await?;
        wire.expect((10, 41)).await?;
        Ok(wire)
    }

    pub async fn send(&mut self, channel: u16, id: (u16, u16), arguments: &[u8]) -> Result<()> {
        let mut payload = [id.0.to_be_bytes(), id.1.to_be_bytes()].concat();
        payload.extend(arguments);
        self.send_frame(1, channel, &payload).await
    }

    pub async fn send_frame(&mut self, kind: u8, channel: u16, payload: &[u8]) -> Result<()> {
        let mut frame = vec![kind];
        frame.extend(channel.to_be_bytes());
        frame.extend(long(payload));
        frame.push(FRAME_END);
        self.stream.write_all(&frame).await
    }

    /// The next method; an error when the broker closes the connection or says nothing for seconds.
    pub async fn receive(&mut self) -> Result<Method> {
        loop {
            let mut head = [0; 7];
            timeout(PATIENCE, self.stream.read_exact(&mut head)).await??;
            let channel = u16::from_be_bytes([head[1], head[2]]);
            let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
            if head[0] == b'A' || size > 1 << 20 {
                return Err(Error::other(format!("not a frame of AMQP 0-9-1: {head:?}")));
            }
            let mut payload = vec![0; size as usize + 1];
            timeout(PATIENCE, self.stream.read_exact(&mut payload)).await??;
            if payload.pop() != Some(FRAME_END) {
                return Err(Error::other("a frame without its end"));
            }
            if head[0] == 1 && payload.len() >= 4 {
                let arguments = payload.split_off(4);
                let id = (u16::from_be_bytes([payload[0], payload[1]]), u16::from_be_bytes([payload[2], payload[3]]));
                return Ok(Method { channel, id, arguments });
            }
        }
    }

    /// The next method, which must be this one.
    pub async fn expect(&mut self, id: (u16, u16)) -> Result<Method> {
        let method = self.receive().await?;
        if method.id == id {
            return Ok(method);
        }
        let text = String::from_utf8_lossy(&method.arguments).into_owned();
        Err(Error::other(format!("method {:?} where {id:?} was due: {text}", method.id)))
    }
}

/// A text of at most 255 bytes as the protocol writes it.
pub fn short(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short string");
    [&[length], text.as_bytes()].concat()
}

/// Bytes with their length in four bytes before them: a long string, a table.
pub fn long(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a long string");
    [&length.to_be_bytes(), bytes].concat()
}
