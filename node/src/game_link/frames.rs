//! A queue across a socket: each item a line of JSON.
//!
//! Invariant: to put something on the queue never waits; a thread of its own writes, as much at once as has
//! gathered. The end of the queue is the end of the stream.

use std::io::{BufRead, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::parent;

/// Writes what is on the queue until it is closed, or the reader has gone.
pub(crate) fn send<T: Serialize>(queue: &mpsc::Receiver<T>, mut socket: UnixStream) {
    let mut lines = Vec::new();
    while let Ok(first) = queue.recv() {
        for item in std::iter::once(first).chain(queue.try_iter()) {
            serde_json::to_writer(&mut lines, &item).expect("items of a port have string keys only");
            lines.push(b'\n');
        }
        if socket.write_all(&lines).is_err() {
            return;
        }
        lines.clear();
    }
    // The reader may have left first.
    let _ = socket.shutdown(Shutdown::Write);
}

/// Reads items until the stream ends, `put` has no use for them, or one is not what it should be.
pub(crate) fn receive<T: DeserializeOwned>(mut input: impl BufRead, mut put: impl FnMut(T) -> bool) {
    let mut line = Vec::new();
    while matches!(input.read_until(b'\n', &mut line), Ok(read) if read > 0) {
        let item = match serde_json::from_slice(&line) {
            Ok(item) => item,
            Err(error) => {
                return parent::complain(&format!("the other half of this node does not make sense: {error}"));
            }
        };
        if !put(item) {
            return;
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use raftian_apps::Response;

    use super::*;
    use crate::game_link::port::{Order, ToGame};

    #[test]
    fn what_is_sent_is_received_in_order_until_the_queue_is_closed() {
        let (writing, reading) = UnixStream::pair().unwrap();
        let (queue, items) = mpsc::channel();
        (1..=3).for_each(|number| queue.send(number).unwrap());
        drop(queue);
        send(&items, writing);
        let mut received = Vec::new();
        receive(std::io::BufReader::new(reading), |number: u32| {
            received.push(number);
            true
        });
        assert_eq!(received, [1, 2, 3]);
    }

    #[test]
    fn an_order_crosses_with_its_response_as_it_is() {
        let (writing, reading) = UnixStream::pair().unwrap();
        let (queue, orders) = mpsc::channel();
        let response = Response::of(&[1, 2]);
        queue.send(ToGame::Order(Order { index: 7, own_serial: Some(3), ordered_ns: 9, response })).unwrap();
        drop(queue);
        send(&orders, writing);
        let mut received = Vec::new();
        receive(std::io::BufReader::new(reading), |said: ToGame| {
            received.push(said);
            true
        });
        let [ToGame::Order(order)] = &received[..] else { panic!("{received:?}") };
        assert_eq!((order.index, order.own_serial, order.response.get()), (7, Some(3), "[1,2]"));
    }

    #[test]
    fn what_makes_no_sense_ends_it() {
        let mut received = Vec::new();
        receive(&b"1\nx\n2\n"[..], |number: u32| {
            received.push(number);
            true
        });
        assert_eq!(received, [1]);
    }
}
