//! Who painted a pixel: the state has the entry that did, and the entry the painter.
//!
//! `GET /client/painter?x=3&y=4` is answered `{"color":255,"index":12,"painter":"alice"}`. What was never painted has `null`
//! for all of them; where every node has discarded the entry, in favour of a snapshot, for the painter alone.
//!
//! Deliberately absent: what a pixel showed before, which takes the whole log.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use raftian_apps::{CanvasOp, CanvasReply, Colour, Command};
use raftian_rpc::Index;
use raftian_rpc::client::{ClientClient as _, Consistency};
use raftian_rpc::control::ControlClient as _;
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use tokio::time::timeout;

use super::Shared;
use super::routes::{failed, json_of, refuse};

/// How long one node may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which pixel.
#[derive(Deserialize)]
pub(super) struct Which {
    x: u16,
    y: u16,
}

/// Who painted it.
#[derive(Serialize)]
struct Blame {
    color: Option<Colour>,
    index: Option<Index>,
    painter: Option<String>,
}

/// Answers the question.
pub(super) async fn painter(State(shared): State<Arc<Shared>>, Query(Which { x, y }): Query<Which>) -> Response {
    if !shared.size.has(x, y) {
        let why = format!("pixel {x},{y} is not on the canvas of {}", shared.size);
        return refuse(&shared, StatusCode::UNPROCESSABLE_ENTITY, &why);
    }
    match find(&shared, x, y).await {
        Some(blame) => {
            let body = serde_json::to_vec(&blame).expect("numbers and a name become JSON");
            json_of(body.into(), blame.index)
        }
        None => failed(StatusCode::SERVICE_UNAVAILABLE, "no node answers"),
    }
}

/// Asks the healthy nodes in turn, until one has told the colour and one the painter.
async fn find(shared: &Shared, x: u16, y: u16) -> Option<Blame> {
    let op = to_raw_value(&CanvasOp::Pixel(x, y)).ok()?;
    let mut blame: Option<Blame> = None;
    for client in shared.nodes.healthy().iter().filter_map(|hub| hub.client()) {
        if blame.is_none() {
            let read = client.read(op.clone(), Some(Consistency::Stale), None, None);
            let Ok(Ok(answer)) = timeout(PATIENCE, read).await else { continue };
            let Ok(CanvasReply { colour, index, .. }) = serde_json::from_str(answer.response.get()) else { continue };
            blame = Some(Blame { color: colour, index, painter: None });
        }
        let Some(Blame { index: Some(index), painter, .. }) = &mut blame else { break };
        let Ok(Ok(page)) = timeout(PATIENCE, client.log(*index, 1)).await else { continue };
        // It was applied, so it is committed, and the same on every node that has it.
        let line = page.entries.into_iter().find(|line| line.index == *index);
        let command = line.and_then(|line| Command::parse(line.command?.get().as_bytes()).ok());
        *painter = command.map(|command| command.on_behalf_of().to_owned());
        if painter.is_some() {
            break;
        }
    }
    blame
}
