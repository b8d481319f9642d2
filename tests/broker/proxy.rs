//! A door between a client and the broker that a test can shut: connections are cut, or go silent, by their name.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What a client has written is here within this time.
const DRAIN: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    /// Nothing passes, and nobody is told.
    Silent,
    /// Both sides see the connection end.
    Shut,
    /// The same, and what was on its way is gone.
    Torn,
}

/// A proxy on a port of its own.
pub struct Proxy {
    pub port: u16,
    passing: Arc<Mutex<Vec<Passing>>>,
    mute: Arc<Mutex<Option<String>>>,
    accepting: JoinHandle<()>,
}

struct Passing {
    /// The first bytes of the client: the name of the connection is among them.
    hello: Arc<Mutex<Vec<u8>>>,
    door: watch::Sender<Door>,
}

impl Proxy {
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (passing, mute) = (Arc::<Mutex<Vec<Passing>>>::default(), Arc::<Mutex<Option<String>>>::default());
        let (all, muted) = (Arc::clone(&passing), Arc::clone(&mute));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(target).await else { continue };
                let (client, server) = (nodelay(client), nodelay(server));
                let (hello, door) = (Arc::<Mutex<Vec<u8>>>::default(), watch::Sender::new(Door::Open));
                tokio::spawn(pass(client, server, Arc::clone(&hello), door.clone(), Arc::clone(&muted)));
                all.lock().unwrap().push(Passing { hello, door });
            }
        });
        Self { port, passing, mute, accepting }
    }

    /// Cuts every connection whose name holds this text. What the client has written by now still reaches the broker.
    pub fn cut(&self, name: &str) -> usize {
        self.set(name, Door::Shut)
    }

    /// From now on nothing passes on connections whose name holds this text, present or to come.
    pub fn silence(&self, name: &str) {
        *self.mute.lock().unwrap() = Some(name.to_owned());
        self.set(name, Door::Silent);
    }

    /// Everything passes again, what was held back first.
    pub fn listen(&self) {
        *self.mute.lock().unwrap() = None;
        for one in self.passing.lock().unwrap().iter() {
            one.door.send_if_modified(|door| {
                let was_silent = *door == Door::Silent;
                if was_silent {
                    *door = Door::Open;
                }
                was_silent
            });
        }
    }

    /// Nobody comes through any more.
    pub fn close(&self) {
        self.accepting.abort();
        self.set("", Door::Torn);
    }

    fn set(&self, name: &str, wanted: Door) -> usize {
        let passing = self.passing.lock().unwrap();
        let named = passing.iter().filter(|one| holds(&one.hello.lock().unwrap(), name));
        let open: Vec<_> = named.filter(|one| one.door.receiver_count() > 0).collect();
        for one in &open {
            one.door.send_replace(wanted);
        }
        open.len()
    }
}

fn nodelay(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).unwrap();
    stream
}

async fn until(door: &mut watch::Receiver<Door>, is_so: impl Fn(Door) -> bool) {
    let _ = door.wait_for(|door| is_so(*door)).await;
}

fn holds(bytes: &[u8], text: &str) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

async fn pass(
    client: TcpStream,
    server: TcpStream,
    hello: Arc<Mutex<Vec<u8>>>,
    door: watch::Sender<Door>,
    mute: Arc<Mutex<Option<String>>>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut down_door = door.subscribe();
    let down = tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        loop {
            tokio::select! {
                biased;
                () = until(&mut down_door, |door| matches!(door, Door::Shut | Door::Torn)) => break,
                read = from_server.read(&mut buffer) => match read {
                    Ok(count) if count > 0 => {
                        until(&mut down_door, |door| door != Door::Silent).await;
                        if to_client.write_all(&buffer[..count]).await.is_err() { break }
                    }
                    _ => break,
                },
            }
        }
        drop(to_client);
        // The broker must not be told by a reset, which could throw away what it has not read yet.
        let rest = async { while from_server.read(&mut buffer).await.is_ok_and(|count| count > 0) {} };
        let _ = tokio::time::timeout(Duration::from_secs(5), rest).await;
    });
    let mut up_door = door.subscribe();
    let mut buffer = vec![0; 65_536];
    loop {
        tokio::select! {
            biased;
            read = from_client.read(&mut buffer) => match read {
                Ok(count) if count > 0 => {
                    let greeting = {
                        let mut hello = hello.lock().unwrap();
                        let is_short = hello.len() < 4_096;
                        if is_short { hello.extend(&buffer[..count]) }
                        is_short && mute.lock().unwrap().as_ref().is_some_and(|name| holds(&hello, name))
                    };
                    if greeting { door.send_replace(Door::Silent); }
                    until(&mut up_door, |door| door != Door::Silent).await;
                    if to_server.write_all(&buffer[..count]).await.is_err() { break }
                }
                _ => break,
            },
            () = until(&mut up_door, |door| matches!(door, Door::Shut | Door::Torn)) => break,
        }
    }
    // What was written before the cut still goes through; it may not have been seen yet.
    while *door.borrow() != Door::Torn
        && let Ok(Ok(count)) = tokio::time::timeout(DRAIN, from_client.read(&mut buffer)).await
    {
        if count == 0 || to_server.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _ = to_server.shutdown().await;
    let _ = down.await;
}
