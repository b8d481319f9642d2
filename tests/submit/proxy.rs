//! A wire between a command and the broker that can be cut, and over which the broker seems to be blocked.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// Listens until the test ends.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_cut: AtomicBool,
    /// The command's ends of the connections. Whole frames are written under the lock.
    open: Mutex<Vec<Arc<Mutex<TcpStream>>>>,
}

impl Proxy {
    /// In front of a broker at `host:port`.
    pub fn start(broker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let (of, broker) = (Arc::clone(&shared), broker.to_owned());
        std::thread::spawn(move || {
            for command in listener.incoming().map_while(Result::ok) {
                if !of.is_cut.load(Ordering::SeqCst) {
                    join(&of, command, TcpStream::connect(&broker).unwrap());
                }
            }
        });
        Self { address, shared }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Ends every connection and lets nobody in.
    pub fn cut(&self) {
        self.shared.is_cut.store(true, Ordering::SeqCst);
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.lock().unwrap().shutdown(std::net::Shutdown::Both);
        }
    }

    /// Lets everybody in again.
    pub fn mend(&self) {
        self.shared.is_cut.store(false, Ordering::SeqCst);
    }

    /// Says on every connection what a broker says that runs out of memory.
    pub fn block(&self) {
        let reason = b"low on memory";
        let method = [&[0, 10, 0, 60, reason.len() as u8][..], reason].concat();
        self.say(&method);
    }

    /// Says that it is over.
    pub fn unblock(&self) {
        self.say(&[0, 10, 0, 61]);
    }

    fn say(&self, method: &[u8]) {
        let frame = [&[1, 0, 0][..], &(method.len() as u32).to_be_bytes(), method, &[0xce]].concat();
        for stream in self.shared.open.lock().unwrap().iter() {
            // One that has ended hears nothing.
            let _ = stream.lock().unwrap().write_all(&frame);
        }
    }
}

fn join(shared: &Shared, command: TcpStream, broker: TcpStream) {
    let (mut from_command, mut to_broker) = (command.try_clone().unwrap(), broker.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_command, &mut to_broker);
        let _ = to_broker.shutdown(std::net::Shutdown::Both);
    });
    let to_command = Arc::new(Mutex::new(command));
    shared.open.lock().unwrap().push(Arc::clone(&to_command));
    std::thread::spawn(move || {
        let mut broker = broker;
        while let Ok(frame) = frame(&mut broker) {
            if to_command.lock().unwrap().write_all(&frame).is_err() {
                break;
            }
        }
        let _ = to_command.lock().unwrap().shutdown(std::net::Shutdown::Both);
        let _ = broker.shutdown(std::net::Shutdown::Both);
    });
}

/// One frame: type, channel, size, that many bytes, end.
fn frame(from: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; 7];
    from.read_exact(&mut frame)?;
    let size = u32::from_be_bytes([frame[3], frame[4], frame[5], frame[6]]) as usize;
    frame.resize(7 + size + 1, 0);
    from.read_exact(&mut frame[7..])?;
    Ok(frame)
}
