//! A node's seat: the socket that listens for it, over all of its processes and the times between them.
//!
//! Invariants: the socket listens from the moment it is bound until the seat is dropped, so that no other program can ever
//! bind its port (a socket that is only bound would not do: two that allow the reuse of an address may share it until one
//! listens). Either one process has the seat, or callers are answered here; never both, and what one leaves unanswered in
//! the kernel's queue the other finds.
//!
//! Deliberately absent: SO_REUSEPORT, with which another program of the same user could share the port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raftian_rpc::NodeId;
use tokio::runtime::Handle;

use crate::answer::Answering;

/// The most connections that wait in the kernel to be accepted.
const MAX_QUEUED: i32 = 4096;

/// A place of a node among its peers.
#[derive(Debug)]
pub struct Seat {
    node: NodeId,
    address: SocketAddr,
    listener: Arc<TcpListener>,
    /// Who answers while no process has the seat; `None` while one has.
    answering: Mutex<Option<Answering>>,
    runtime: Handle,
}

/// The right to let a process listen on a seat; callers are answered here again when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken(Arc<Seat>);

impl Seat {
    /// Listens for a node on `port`, or on one that the system chooses if `port` is 0 or in use, and answers
    /// its callers until a process is spawned for it.
    ///
    /// # Errors
    /// When the system has no port or no descriptor left.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(node: NodeId, port: u16) -> io::Result<Arc<Seat>> {
        let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = if port == 0 { bind(0) } else { bind(port).or_else(|_| bind(0)) }?;
        listener.set_nonblocking(true)?;
        rustix::net::listen(&listener, MAX_QUEUED)?;
        let address = listener.local_addr()?;
        let (listener, runtime) = (Arc::new(listener), Handle::current());
        let seat = Arc::new(Seat { node, address, listener, answering: Mutex::default(), runtime });
        seat.answer();
        Ok(seat)
    }

    /// The node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Where the node is called.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the answering, if no process has the seat yet. Later callers wait for the process.
    pub(crate) fn take(self: &Arc<Seat>) -> Option<Taken> {
        // Dropping it is what ends it.
        self.answering().take().map(|_| Taken(Arc::clone(self)))
    }

    fn answer(&self) {
        let answering = Answering::begin(&self.runtime, self.node, Arc::clone(&self.listener));
        *self.answering() = Some(answering);
    }

    fn answering(&self) -> MutexGuard<'_, Option<Answering>> {
        self.answering.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Taken {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.listener.as_fd()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.answer();
    }
}
