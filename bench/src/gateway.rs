//! A load on a canvas that is open to painters, as browsers make it: many WebSockets that look, some painters that post,
//! and the time from a click until others see it.
//!
//! Painters post at given moments whether or not earlier pixels are painted; each has one request under way, so one who is
//! late posts at once, and its latency counts from the moment at which it was to. Each look has a board of its own, which
//! only what its socket brings changes; in the end all are compared with the board that is served.
//!
//! Invariant: a time is measured from the intended click of a pixel to the frame that shows it, at looks that are spread over
//! all nodes. Every pixel has a colour of its own, by which it is known.
//!
//! Deliberately absent: starting a lab, and judging the log; `load` does.

mod http;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use futures_util::StreamExt as _;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::stats::percentile;
use http::Http;

/// How many colours there are; a pixel is known by its own until they begin anew.
const COLOURS: u64 = 1 << 24;

/// Of how many looks the times are measured; all keep a board.
const TIMED: usize = 32;

/// How long what was painted last may take to be seen by everybody.
const SETTLE: Duration = Duration::from_secs(30);

/// What is asked of a canvas.
#[derive(Clone, Debug)]
pub struct GatewayLoad {
    /// Where the canvas is.
    pub address: SocketAddr,
    /// The key in the address that its owner gives away.
    pub key: String,
    /// How many WebSockets look.
    pub looks: usize,
    /// How many painters post.
    pub painters: usize,
    /// How many pixels each request has.
    pub batch: usize,
    /// How many pixels are to be painted in a second, by all.
    pub pixels_per_s: f64,
    /// For how long.
    pub time: Duration,
}

/// What became of it.
#[derive(Clone, Debug, Serialize)]
pub struct GatewayFigures {
    /// WebSockets that looked.
    pub looks: usize,
    /// Painters that posted.
    pub painters: usize,
    /// Pixels of each request.
    pub batch: usize,
    /// Pixels a second that were to be painted.
    pub offered_per_s: f64,
    /// Pixels a second that were painted.
    pub painted_per_s: f64,
    /// Requests that were answered with success.
    pub requests: u64,
    /// Requests that failed.
    pub failed: u64,
    /// From the intended click to the answer, in milliseconds: median and 99th percentile.
    pub answered_ms: Option<(f64, f64)>,
    /// From the intended click until a look has shown it, in milliseconds: median and 99th percentile.
    pub seen_ms: Option<(f64, f64)>,
    /// How many times of the latter were measured.
    pub seen_count: u64,
    /// Looks that ended with the board that is served.
    pub equal: usize,
}

/// When the pixel of each colour was to be clicked, in microseconds after the start.
type Clicks = Arc<Vec<AtomicU64>>;

/// Carries the load out.
///
/// # Errors
/// When the canvas cannot be reached, or ends amid it.
pub async fn paint(load: &GatewayLoad) -> anyhow::Result<GatewayFigures> {
    let mut first = Http::connect(load.address, &load.key).await?;
    let board = Board::read(&mut first).await?;
    let start = Instant::now();
    let clicks: Clicks = Arc::new((0..COLOURS).map(|_| AtomicU64::new(0)).collect());
    let (done, is_done) = watch::channel(None);
    let mut looks = JoinSet::new();
    for number in 0..load.looks {
        let socket = look(load, board.index).await.with_context(|| format!("look {number}"))?;
        let timed = (number < TIMED).then(|| Arc::clone(&clicks));
        looks.spawn(watch_board(socket, board.clone(), timed, start, is_done.clone()));
    }
    let painted = post_all(load, &board, &clicks, start).await?;
    // One more pixel, which is the last of all, tells everybody that all has come.
    let last = first.post(&[(0, 0, 0)], "last").await?.context("the last pixel was refused")?;
    done.send_replace(Some(last));
    let (mut seen, mut ends) = (Histogram::new(3)?, Vec::new());
    while let Some(look) = timeout(SETTLE, looks.join_next()).await.context("a look has not seen the last pixel")? {
        let (colours, times) = look??;
        seen.add(times)?;
        ends.push(colours);
    }
    let served = Board::read(&mut first).await?;
    let Painted { requests, failed, answered, took } = painted;
    let ms = |times: &Histogram<u64>| {
        let at = |quantile| percentile(times, quantile).map(|us| us as f64 / 1e3);
        Some((at(0.5)?, at(0.99)?))
    };
    Ok(GatewayFigures {
        looks: load.looks,
        painters: load.painters,
        batch: load.batch,
        offered_per_s: load.pixels_per_s,
        painted_per_s: (requests * load.batch as u64) as f64 / took.as_secs_f64(),
        requests,
        failed,
        answered_ms: ms(&answered),
        seen_ms: ms(&seen),
        seen_count: seen.len(),
        equal: ends.iter().filter(|colours| **colours == served.colours).count(),
    })
}

/// What the painters did.
struct Painted {
    requests: u64,
    failed: u64,
    answered: Histogram<u64>,
    took: Duration,
}

/// Lets all painters post, and waits for them.
async fn post_all(load: &GatewayLoad, board: &Board, clicks: &Clicks, start: Instant) -> anyhow::Result<Painted> {
    let begun = Instant::now();
    let every = Duration::from_secs_f64(load.batch as f64 / load.pixels_per_s);
    let next = Arc::new(AtomicU64::new(0));
    let mut painters = JoinSet::new();
    for painter in 0..load.painters {
        let mut http = Http::connect(load.address, &load.key).await?;
        let (next, clicks, load, size) =
            (Arc::clone(&next), Arc::clone(clicks), load.clone(), (board.width, board.height));
        painters.spawn(async move {
            let (mut requests, mut failed, mut answered) = (0, 0, Histogram::new(3)?);
            let user = format!("painter-{painter}");
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let intended = begun + every.mul_f64(number as f64);
                if intended >= begun + load.time {
                    return anyhow::Ok((requests, failed, answered));
                }
                sleep_until(intended).await;
                let at_us = (intended - start).as_micros() as u64;
                let pixels: Vec<(u16, u16, u32)> = (0..load.batch as u64)
                    .map(|step| {
                        let colour = 1 + (number * load.batch as u64 + step) % (COLOURS - 1);
                        clicks[colour as usize].store(at_us, Ordering::Relaxed);
                        // Spread over the board, each pixel far from the one before.
                        let place = colour.wrapping_mul(2_654_435_761) % (u64::from(size.0) * u64::from(size.1));
                        ((place % u64::from(size.0)) as u16, (place / u64::from(size.0)) as u16, colour as u32)
                    })
                    .collect();
                match http.post(&pixels, &user).await? {
                    Some(_) => requests += 1,
                    None => failed += 1,
                }
                answered.record(intended.elapsed().as_micros() as u64)?;
            }
        });
    }
    let mut all = Painted { requests: 0, failed: 0, answered: Histogram::new(3)?, took: Duration::ZERO };
    while let Some(painter) = painters.join_next().await {
        let (requests, failed, answered) = painter??;
        (all.requests, all.failed) = (all.requests + requests, all.failed + failed);
        all.answered.add(answered)?;
    }
    all.took = begun.elapsed();
    Ok(all)
}

/// Opens a WebSocket that gets binary frames of what comes after an entry.
async fn look(load: &GatewayLoad, after: u64) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://{}/ws?format=binary&after={after}", load.address).into_client_request()?;
    request.headers_mut().insert("authorization", format!("Bearer {}", load.key).parse()?);
    let stream = TcpStream::connect(load.address).await?;
    Ok(tokio_tungstenite::client_async(request, stream).await?.0)
}

/// Takes in what a socket brings until the last pixel has come; the board then, and the times from click to sight.
async fn watch_board(
    mut socket: WebSocketStream<TcpStream>,
    mut board: Board,
    clicks: Option<Clicks>,
    start: Instant,
    mut is_done: watch::Receiver<Option<u64>>,
) -> anyhow::Result<(Vec<u32>, Histogram<u64>)> {
    let mut times = Histogram::new(3)?;
    loop {
        if is_done.borrow().is_some_and(|last| board.index >= last) {
            return Ok((board.colours, times));
        }
        let message = tokio::select! {
            message = socket.next() => message.context("the canvas closed a socket")??,
            changed = is_done.changed() => {
                changed?;
                continue;
            }
        };
        match message {
            Message::Binary(frame) => {
                let now_us = start.elapsed().as_micros() as u64;
                let mut kept = Ok(());
                board.take(&frame, |colour| {
                    let clicked_us =
                        clicks.as_ref().map_or(0, |clicks| clicks[colour as usize].load(Ordering::Relaxed));
                    if clicked_us > 0 {
                        kept = kept.and(times.record(now_us.saturating_sub(clicked_us)));
                    }
                })?;
                kept?;
            }
            Message::Text(text) if text.contains(r#""resync""#) => bail!("a look has missed something: {text}"),
            Message::Close(frame) => bail!("a look was dropped: {frame:?}"),
            _ => {}
        }
    }
}

/// A board as a look knows it.
#[derive(Clone, Debug)]
struct Board {
    width: u16,
    height: u16,
    index: u64,
    colours: Vec<u32>,
}

impl Board {
    async fn read(http: &mut Http) -> anyhow::Result<Board> {
        let bytes = http.get("/client/board").await?;
        Board::unpack(&bytes).ok_or_else(|| anyhow!("this is no canvas"))
    }

    /// Reads the form of few bytes: size, entry, palette, pixels.
    fn unpack(bytes: &[u8]) -> Option<Board> {
        let u16_at = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let (width, height, count) = (u16_at(0)?, u16_at(2)?, usize::from(u16_at(12)?));
        let index = u64::from_le_bytes(bytes.get(4..12)?.try_into().ok()?);
        let colour = |rgb: &[u8; 3]| u32::from_be_bytes([0, rgb[0], rgb[1], rgb[2]]);
        let palette: Vec<u32> = bytes.get(14..14 + 3 * count)?.as_chunks::<3>().0.iter().map(colour).collect();
        let rest = &bytes[14 + 3 * count..];
        let colours: Vec<u32> = match count {
            0 => rest.as_chunks::<3>().0.iter().map(colour).collect(),
            _ => rest.iter().map(|place| palette.get(usize::from(*place)).copied()).collect::<Option<_>>()?,
        };
        let is_whole = colours.len() == usize::from(width) * usize::from(height);
        is_whole.then_some(Board { width, height, index, colours })
    }

    /// Takes in a frame, and shows each colour in it to `see`.
    fn take(&mut self, frame: &[u8], mut see: impl FnMut(u32)) -> anyhow::Result<()> {
        let head = frame.get(..9).filter(|head| head[0] == 1).context("a frame of another kind")?;
        let index = u64::from_le_bytes(head[1..].try_into()?);
        if index <= self.index {
            bail!("entry {index} came after entry {}", self.index);
        }
        self.index = index;
        for [a, b, c, d, rgb @ ..] in frame[9..].as_chunks::<7>().0 {
            let (x, y) = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
            let colour = u32::from_be_bytes([0, rgb[0], rgb[1], rgb[2]]);
            self.colours[usize::from(y) * usize::from(self.width) + usize::from(x)] = colour;
            see(colour);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_has_the_board_that_was_served_and_what_came_after() {
        let packed = [2, 0, 1, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 2, 3, 0, 0];
        let mut board = Board::unpack(&packed).unwrap();
        assert_eq!((board.index, board.colours.as_slice()), (7, &[0x01_0203, 0x01_0203][..]));
        let frame = [1, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 5];
        let mut seen = Vec::new();
        board.take(&frame, |colour| seen.push(colour)).unwrap();
        assert_eq!((board.index, board.colours[1], seen), (9, 5, vec![5]));
        assert!(board.take(&frame, |_| ()).is_err(), "no entry comes twice");
        assert!(Board::unpack(&packed[..18]).is_none());
    }
}
