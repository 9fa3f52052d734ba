//! Free loopback ports, reserved across test processes that run at the same time: each is held by a lock on a
//! file that the system lets go when its holder dies. All lie below the ports that the system itself gives to
//! outgoing connections, so that none is taken between being chosen and being used.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Below the default range of outgoing ports (32768 and up), above what services are usually given.
const FIRST: u16 = 18_000;
const LAST: u16 = 32_000;

/// A port of 127.0.0.1 that nobody else in any harness uses while this lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: Option<File>,
}

impl Port {
    /// Reserves a free one.
    ///
    /// # Panics
    /// If the directory of locks cannot be written, or every port is taken.
    pub fn reserve() -> Self {
        let locks = lock_directory().expect("a directory for the locks of ports");
        let width = LAST - FIRST;
        let start = rand::random_range(0..width);
        for step in 0..width {
            let number = FIRST + (start + step) % width;
            let lock = File::create(locks.join(number.to_string())).expect("a lock file of a port");
            // Order: the lock before the look, so that two who look at once do not both find it free.
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self {
                    number,
                    _lock: Some(lock),
                };
            }
        }
        panic!("no free port between {FIRST} and {LAST}");
    }

    /// One that another process reserved for us.
    pub fn given(number: u16) -> Self {
        Self { number, _lock: None }
    }

    /// Its address on loopback.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

fn lock_directory() -> io::Result<PathBuf> {
    // One directory a user: another user's files could not be locked.
    let user = fs::metadata("/proc/self")?.uid();
    let directory = std::env::temp_dir().join(format!("pushrail-ports-{user}"));
    fs::create_dir_all(&directory)?;
    Ok(directory)
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
