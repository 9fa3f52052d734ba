//! Free loopback ports, reserved across test processes that run at the same time: each is held by a name that the
//! system lets go when its holder dies, and that leaves no file behind. All lie below the ports that the system itself gives to
//! outgoing connections, so that none is taken between being chosen and being used.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net;

/// Below the default range of outgoing ports (32768 and up), above what services are usually given.
const FIRST: u16 = 18_000;
const LAST: u16 = 32_000;

/// A port of 127.0.0.1 that nobody else in any harness uses while this lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _held: Option<net::UnixDatagram>,
}

impl Port {
    /// Reserves a free one.
    ///
    /// # Panics
    /// If every port is taken.
    pub fn reserve() -> Self {
        let width = LAST - FIRST;
        let start = rand::random_range(0..width);
        for step in 0..width {
            let number = FIRST + (start + step) % width;
            // Order: the name before the look, so that two who look at once do not both find it free.
            let held = hold(number);
            if held.is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self {
                    number,
                    _held: held.ok(),
                };
            }
        }
        panic!("no free port between {FIRST} and {LAST}");
    }

    /// One that another process reserved for us.
    pub fn given(number: u16) -> Self {
        Self { number, _held: None }
    }

    /// Its address on loopback.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

/// Takes the port's name, of which there is one on a machine.
fn hold(number: u16) -> io::Result<net::UnixDatagram> {
    let name = net::SocketAddr::from_abstract_name(format!("pushrail-port-{number}"))?;
    net::UnixDatagram::bind_addr(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_while_it_is_held() {
        let held: Vec<Port> = (0..50).map(|_| Port::reserve()).collect();

        let mut numbers: Vec<u16> = held.iter().map(|port| port.number).collect();
        numbers.sort_unstable();
        numbers.dedup();

        assert_eq!(numbers.len(), 50);
        assert!(numbers.iter().all(|number| *number < 32_768));
    }
}
