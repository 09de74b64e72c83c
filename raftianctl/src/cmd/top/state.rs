//! What `top` knows, and what keys and mouse make of it.
//!
//! Invariant: what can be done, is a line of the shell ([`Deed`]).

use std::collections::{BTreeSet, VecDeque};

use raftian_rpc::NodeId;
use raftian_rpc::lab::{Event, NodeState};
use raftian_rpc::selector::names;
use raftian_view::{Frame, NodeView, View, story};
use ratatui::crossterm::event::{
    Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind,
};
use ratatui::layout::{Position, Rect};

use crate::fold::{self, Line};

/// How many events are kept.
const MAX_EVENTS: usize = 500;

/// How many seconds of rates are kept.
const MAX_RATES: usize = 240;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct State {
    view: Option<View>,
    /// Why there is nothing new.
    pub(super) lost: Option<String>,
    /// The last events, the oldest first.
    events: Vec<Event>,
    /// What they are in lines: attempts that repeat themselves are one.
    lines: Vec<Line>,
    /// Commits per second, the oldest first.
    pub(super) commits: VecDeque<u64>,
    selected: usize,
    pub(super) marked: BTreeSet<NodeId>,
    /// The last line that was run, and what it said.
    pub(super) line: Option<String>,
    pub(super) said: Option<String>,
    pub(super) shows_help: bool,
    /// Whether the mouse is the terminal's, which selects text with it.
    pub(super) leaves_mouse: bool,
    /// Where rows and keys were drawn last.
    pub(super) places: Places,
}

/// Where things were drawn, for the mouse.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The rows of nodes, and the number of the first.
    pub(super) rows: Rect,
    pub(super) first_row: usize,
    /// The keys at the foot.
    pub(super) keys: Vec<(Rect, char)>,
}

/// A line of the shell, after the name of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deed {
    /// Its words.
    pub(super) words: Vec<String>,
}

/// What a key is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Leave,
    Mouse(bool),
    Do(Deed),
}

impl Deed {
    fn new(line: &str) -> Deed {
        Deed { words: line.split_whitespace().map(str::to_owned).collect() }
    }

    /// It as typed.
    pub(super) fn line(&self) -> String {
        format!("raftianctl {}", self.words.join(" "))
    }
}

impl State {
    /// What the lab is like; `None` before anything was seen.
    pub(super) fn view(&self) -> Option<&View> {
        self.view.as_ref()
    }

    /// The number of the chosen node.
    pub(super) fn selected(&self) -> usize {
        self.selected
    }

    /// Something was seen.
    pub(super) fn frame(&mut self, frame: Frame) {
        self.lost = None;
        match frame {
            Frame::View(view) => {
                let rate = view.rates.commits.round() as u64;
                if self.view.as_ref().is_none_or(|before| before.rates != view.rates) {
                    self.commits.push_back(rate);
                }
                if self.commits.len() > MAX_RATES {
                    self.commits.pop_front();
                }
                self.selected = self.selected.min(view.nodes.len().saturating_sub(1));
                let nodes: BTreeSet<NodeId> = view.nodes.iter().map(|node| node.node).collect();
                self.marked.retain(|node| nodes.contains(node));
                self.view = Some(*view);
            }
            Frame::Events(events) => {
                self.events.extend(events.into_iter().map(|told| told.event));
                self.events.drain(..self.events.len().saturating_sub(MAX_EVENTS));
                self.lines = fold::lines(&self.events.iter().collect::<Vec<_>>(), &self.events);
            }
            Frame::Messages { .. } => {}
        }
    }

    /// The daemon cannot be reached.
    pub(super) fn lose(&mut self, why: String) {
        self.lost = Some(why);
    }

    /// What a deed said.
    pub(super) fn say(&mut self, said: String) {
        self.said = Some(said);
    }

    /// What the person wants.
    pub(super) fn event(&mut self, event: &Input) -> Option<Wish> {
        match event {
            Input::Key(KeyEvent { kind: KeyEventKind::Release, .. }) => None,
            Input::Key(KeyEvent { code: KeyCode::Char('c'), modifiers: KeyModifiers::CONTROL, .. }) => {
                Some(Wish::Leave)
            }
            Input::Key(key) => self.key(key.code),
            Input::Mouse(mouse) => {
                let at = Position { x: mouse.column, y: mouse.row };
                match mouse.kind {
                    MouseEventKind::ScrollUp => self.key(KeyCode::Up),
                    MouseEventKind::ScrollDown => self.key(KeyCode::Down),
                    MouseEventKind::Down(MouseButton::Left) => self.click(at),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn key(&mut self, code: KeyCode) -> Option<Wish> {
        if self.shows_help {
            self.shows_help = false;
            return None;
        }
        let nodes = self.view.as_ref().map_or(0, |view| view.nodes.len());
        match code {
            KeyCode::Up => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down => self.selected = (self.selected + 1).min(nodes.saturating_sub(1)),
            KeyCode::Char(' ') => self.mark(),
            KeyCode::Char('?') => self.shows_help = true,
            KeyCode::Char('q') => return Some(Wish::Leave),
            KeyCode::Esc if self.marked.is_empty() => return Some(Wish::Leave),
            KeyCode::Esc => self.marked.clear(),
            KeyCode::Char('m') => {
                self.leaves_mouse = !self.leaves_mouse;
                return Some(Wish::Mouse(!self.leaves_mouse));
            }
            KeyCode::Char(key) => {
                let deed = self.deed(key)?;
                (self.line, self.said) = (Some(deed.line()), None);
                return Some(Wish::Do(deed));
            }
            _ => {}
        }
        None
    }

    /// The line that a key stands for, if there is one now.
    fn deed(&self, key: char) -> Option<Deed> {
        let chosen = self.chosen();
        let nodes = names(chosen.iter().map(|node| &node.node));
        let of_chosen = |verb: &str| (!chosen.is_empty()).then(|| Deed::new(&format!("{verb} {nodes}")));
        match key {
            'k' => of_chosen("kill"),
            'p' if !chosen.is_empty() && chosen.iter().all(|node| node.state == NodeState::Paused) => {
                of_chosen("resume")
            }
            'p' => of_chosen("pause"),
            'r' => of_chosen("restart"),
            't' => of_chosen("transfer-leader").filter(|_| chosen.len() == 1),
            'c' => {
                let all = &self.view.as_ref()?.nodes;
                let others =
                    names(all.iter().map(|node| &node.node).filter(|id| chosen.iter().all(|node| node.node != **id)));
                (!chosen.is_empty() && !others.is_empty()).then(|| Deed::new(&format!("partition {nodes} {others}")))
            }
            'h' => Some(Deed::new("heal")),
            'S' => Some(Deed::new("start")),
            _ => None,
        }
    }

    /// The marked nodes, else the chosen one.
    fn chosen(&self) -> Vec<&NodeView> {
        let Some(view) = &self.view else { return Vec::new() };
        match self.marked.is_empty() {
            true => view.nodes.get(self.selected).into_iter().collect(),
            false => view.nodes.iter().filter(|node| self.marked.contains(&node.node)).collect(),
        }
    }

    fn mark(&mut self) {
        let Some(node) = self.view.as_ref().and_then(|view| view.nodes.get(self.selected)) else { return };
        if !self.marked.remove(&node.node) {
            self.marked.insert(node.node);
        }
    }

    fn click(&mut self, at: Position) -> Option<Wish> {
        if self.places.rows.contains(at) {
            let row = self.places.first_row + usize::from(at.y - self.places.rows.y);
            if self.view.as_ref().is_some_and(|view| row < view.nodes.len()) {
                match self.selected == row {
                    true => self.mark(),
                    false => self.selected = row,
                }
            }
            return None;
        }
        let key = self.places.keys.iter().find(|(place, _)| place.contains(at)).map(|(_, key)| *key)?;
        self.key(KeyCode::Char(key))
    }

    /// The last lines of what happened, so many.
    pub(super) fn last_events(&self, lines: usize) -> impl Iterator<Item = String> {
        let skipped = self.lines.len().saturating_sub(lines);
        self.lines.iter().skip(skipped).map(|line| format!("{}  {}", story::clock(line.unix_ms), line.text))
    }
}
