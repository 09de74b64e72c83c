//! How a process of the node program gets its assignment: as a line over a Unix socket that is its standard input, and with
//! the first byte of that line the sockets on which its nodes are to be called.
//!
//! Invariant: a process has the sockets before it has read the line, and what is none that listens on this machine is
//! refused. Received sockets are closed on exec.
//!
//! Deliberately absent: opening such a socket. The parent does, and keeps it as long as the node has its place in the lab,
//! so that no other program can listen there while the node is dead and be given the secret (`raftian-supervise`).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::socket_acceptconn;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use crate::MAX_NODES;

/// The most sockets that a process may get.
const MAX_LISTENERS: usize = MAX_NODES as usize;

/// What came first.
#[derive(Debug)]
pub struct Received {
    /// The first byte of the line, which the sockets came with; the rest is still to be read. Empty at the end of input.
    pub first: Vec<u8>,
    /// The sockets, in the order in which they were given.
    pub listeners: Vec<TcpListener>,
}

/// Gives the process at the other end of `socket` its line and its sockets, without waiting for it to read them.
///
/// # Errors
/// When the process is gone, there are too many sockets, or the line is longer than what the kernel keeps for a reader.
pub fn give(socket: impl AsFd, line: &[u8], listeners: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_LISTENERS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !listeners.is_empty() && !control.push(SendAncillaryMessage::ScmRights(listeners)) {
        return Err(io::Error::other(format!("{} sockets are more than a process may get", listeners.len())));
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let sent = retry_on_intr(|| sendmsg(&socket, &[IoSlice::new(line)], &mut control, flags))?;
    match sent == line.len() {
        true => Ok(()),
        false => Err(io::Error::other(format!("an assignment of {} bytes is too long", line.len()))),
    }
}

/// Reads the first byte of the line, and takes the sockets that come with it. An input that is no socket brings none.
///
/// # Errors
/// A sentence for people, when what comes is not what a parent gives.
pub fn receive(input: impl AsFd) -> Result<Received, String> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_LISTENERS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let message = match retry_on_intr(|| recvmsg(&input, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)) {
        Ok(message) => message,
        Err(Errno::NOTSOCK) => return Ok(Received { first: Vec::new(), listeners: Vec::new() }),
        Err(error) => return Err(format!("cannot read an assignment: {error}")),
    };
    let descriptors: Vec<OwnedFd> = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(format!("more than {MAX_LISTENERS} sockets were given, or more than may be open in this process"));
    }
    let count = descriptors.len();
    let checked = descriptors.into_iter().zip(1..).map(|(descriptor, number)| {
        listener(descriptor).map_err(|why| format!("descriptor {number} of {count} that were given {why}"))
    });
    Ok(Received { first: byte[..message.bytes].to_vec(), listeners: checked.collect::<Result<_, _>>()? })
}

fn listener(descriptor: OwnedFd) -> Result<TcpListener, &'static str> {
    if !socket_acceptconn(&descriptor).unwrap_or(false) {
        return Err("is not a socket that listens");
    }
    let listener = TcpListener::from(descriptor);
    match listener.local_addr() {
        Ok(address) if address.ip().is_loopback() => Ok(listener),
        _ => Err("does not listen on this machine's loopback address"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::Ipv4Addr;
    use std::os::unix::net::UnixStream;

    use rustix::io::{FdFlags, fcntl_getfd};

    use super::*;

    fn bound() -> TcpListener {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
    }

    #[test]
    fn the_sockets_come_with_the_first_byte_and_in_order_and_the_rest_can_be_read_by_lines() {
        let (parent, child) = UnixStream::pair().unwrap();
        let sockets = [bound(), bound()];
        give(&parent, b"{the line}\n", &[sockets[0].as_fd(), sockets[1].as_fd()]).unwrap();
        (&parent).write_all(b"what follows\n").unwrap();
        let Received { first, listeners } = receive(&child).unwrap();
        assert_eq!(first, b"{");
        let ports = |all: &[TcpListener]| all.iter().map(|one| one.local_addr().unwrap().port()).collect::<Vec<_>>();
        assert_eq!(ports(&listeners), ports(&sockets));
        assert!(listeners.iter().all(|one| fcntl_getfd(one).unwrap().contains(FdFlags::CLOEXEC)));
        let mut lines = BufReader::new(&child).lines();
        assert_eq!([(); 2].map(|()| lines.next().unwrap().unwrap()), ["the line}", "what follows"]);
    }

    #[test]
    fn a_line_without_sockets_the_end_of_input_and_an_input_that_is_no_socket_bring_none() {
        let (parent, child) = UnixStream::pair().unwrap();
        give(&parent, b"x\n", &[]).unwrap();
        let received = receive(&child).unwrap();
        assert!(received.first == b"x" && received.listeners.is_empty());
        drop(parent);
        receive(&child).unwrap();
        assert!(receive(&child).unwrap().first.is_empty());
        assert!(receive(File::open("/dev/null").unwrap()).unwrap().first.is_empty());
    }

    #[test]
    fn what_does_not_listen_on_this_machine_is_refused_and_named() {
        let refusal = |second: BorrowedFd<'_>| {
            let (parent, child) = UnixStream::pair().unwrap();
            give(&parent, b"x\n", &[bound().as_fd(), second]).unwrap();
            receive(&child).unwrap_err()
        };
        let file = File::open("/dev/null").unwrap();
        let (stream, _other) = UnixStream::pair().unwrap();
        for other in [file.as_fd(), stream.as_fd()] {
            assert_eq!(refusal(other), "descriptor 2 of 2 that were given is not a socket that listens");
        }
        let everywhere = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        assert!(refusal(everywhere.as_fd()).contains("does not listen on this machine's loopback address"));
    }

    #[test]
    fn more_sockets_than_nodes_are_refused_at_either_end() {
        let socket = bound();
        let (parent, child) = UnixStream::pair().unwrap();
        let many = vec![socket.as_fd(); MAX_LISTENERS + 8];
        assert!(give(&parent, b"x\n", &many).unwrap_err().to_string().contains("more than a process may get"));
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_LISTENERS + 8))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&many)));
        sendmsg(&parent, &[IoSlice::new(b"x\n")], &mut control, SendFlags::empty()).unwrap();
        assert!(receive(&child).unwrap_err().contains("more than 64 sockets"));
    }
}
