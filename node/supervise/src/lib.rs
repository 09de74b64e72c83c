//! The one place where processes of the node program are started, owned and ended, and where the sockets on which nodes are
//! called belong to.
//!
//! | file | subject |
//! |---|---|
//! | [`seat`](Seat) | a node's place among its peers: the socket that listens for it over all its processes |
//! | `answer` | what callers hear on that socket while no process of the node runs |
//! | [`process`](Process) | a process: spawned, listened to, waited for; with it, its notices line by line |
//! | [`group`](Group) | what may be done to a process from anywhere: signals, questions |
//! | [`identity`](Identity) | a process recognised after a crash of its parent, and ended |
//! | `pidfd`, `procfs`, `log` | what the kernel knows of a process, and its standard error |
//!
//! Invariants: the port of a seat belongs to this process from the beginning to the end of the seat, without a gap, so that
//! no other program can listen there and be given the secret. A signal never reaches a process that has inherited a number.
//! Nothing is left of a process when its [`Process`] is dropped.
//!
//! Processes must be spawned on a thread that stays: a node asks the kernel to be killed with its parent, and to the kernel
//! the parent is the *thread*. A `Process` and a `Seat` need a tokio runtime with IO and time.
//!
//! Deliberately absent: what a node's end means, who is to run, and when; that is for the daemon, the measurements, the tests.

mod answer;
mod group;
mod identity;
mod log;
mod pidfd;
mod process;
mod procfs;
mod seat;

pub use group::Group;
pub use identity::Identity;
pub use process::{Launch, Process, ProcessEvent, SpawnError};
pub use seat::Seat;
