//! A network between client and server that can hold bytes back and deliver them later.

#![allow(dead_code, unreachable_pub)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Forwards connections to a port of this machine.
pub struct Proxy {
    /// Where clients connect to.
    pub port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By connection: the way to the server, and what is held back where that is so.
    ways: Vec<(TcpStream, Option<Vec<u8>>)>,
}

impl Proxy {
    /// Starts to forward.
    pub fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                // A server that is away closes the connection.
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else {
                    continue;
                };
                forward(client, server, &shared);
            }
        });
        Self { port, state }
    }

    /// From now on what the present connections send is held back, also after the client has
    /// closed them.
    pub fn hold(&self) {
        for (_, held) in &mut self.state.lock().expect("state").ways {
            held.get_or_insert_default();
        }
    }

    /// Delivers what was held back, and says how many bytes that were.
    pub fn deliver(&self) -> usize {
        let mut bytes = 0;
        for (server, held) in &mut self.state.lock().expect("state").ways {
            let held = held.take().unwrap_or_default();
            bytes += held.len();
            // The server may have closed it.
            let _ = server.write_all(&held);
        }
        bytes
    }
}

fn forward(client: TcpStream, server: TcpStream, state: &Arc<Mutex<State>>) {
    let (mut from_client, mut to_client) = (client.try_clone().expect("clones"), client);
    let mut from_server = server.try_clone().expect("clones");
    let number = {
        let mut state = state.lock().expect("state");
        state.ways.push((server, None));
        state.ways.len() - 1
    };
    let state = Arc::clone(state);
    std::thread::spawn(move || {
        let mut buffer = [0; 1 << 16];
        loop {
            let count = from_client.read(&mut buffer).unwrap_or(0);
            let mut state = state.lock().expect("state");
            let (server, held) = &mut state.ways[number];
            match held {
                // The end of what is held back is held back with it.
                Some(_) if count == 0 => return,
                Some(held) => held.extend_from_slice(&buffer[..count]),
                None if count == 0 || server.write_all(&buffer[..count]).is_err() => {
                    let _ = server.shutdown(Shutdown::Both);
                    return;
                }
                None => {}
            }
        }
    });
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
}
