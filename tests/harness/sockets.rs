//! Who is at the other end of a loopback connection: the kernel lists the socket's number by its address, and
//! each process its sockets. Lets a proxy cut one link only, and a receiver say which node called it.

use std::fs;
use std::net::SocketAddr;

/// The kernel's table is read piece by piece while it changes, and may miss a line: it is read again a few times.
const LOOKS: usize = 20;

/// What the kernel's table gives for a socket that its process has left: closed, or gone with its process.
const LEFT: &str = "0";

/// The process that holds the near end of the connection from `near` to `far`, or `None` if there is none that we
/// may see. Both ends are needed: a port may serve several connections at once. Reads much of /proc: not for a
/// thread that others wait for.
pub fn process_at(near: SocketAddr, far: SocketAddr) -> Option<u32> {
    for _ in 0..LOOKS {
        match socket_of(near, far).as_deref() {
            Some(LEFT) => return None,
            Some(inode) => {
                if let Some(pid) = holder(&format!("socket:[{inode}]")) {
                    return Some(pid);
                }
            }
            None => {}
        }
    }
    None
}

fn socket_of(near: SocketAddr, far: SocketAddr) -> Option<String> {
    let (near, far) = (in_the_table(near)?, in_the_table(far)?);
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = fields.get(1)? == &near && fields.get(2)? == &far;
        is_it.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    })
}

fn in_the_table(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else {
        return None;
    };
    let ip = u32::from_le_bytes(address.ip().octets());
    Some(format!("{ip:08X}:{:04X}", address.port()))
}

fn holder(socket: &str) -> Option<u32> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        holds(pid, socket).then_some(pid)
    })
}

fn holds(pid: u32, socket: &str) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files
        .flatten()
        .any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == socket))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_is_traced_to_the_process_that_made_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _caller = TcpStream::connect(listener.local_addr().unwrap()).unwrap();

        let (accepted, caller) = listener.accept().unwrap();

        assert_eq!(
            process_at(caller, accepted.local_addr().unwrap()),
            Some(std::process::id())
        );
    }
}
