//! The painter: from what a game knows to pixels. One for every hosting, display and picture.
//!
//! A frame is repainted as a whole: ground, then the moving squares, then players and words, band by band.
//! Invariant: the same board, inputs, squares and numbers give the same pixels.

use std::fmt::Write as _;
use std::rc::Rc;

use raftian_apps::{BOARD_PX, FULL_HP, HEADER_PX, WINDOW_HEIGHT_PX, WINDOW_WIDTH_PX, position};
use raftian_raft::RoleKind;

use crate::game::board::{Board, ServerSeen};
use crate::game::canvas::{self, Bitmap, Colour, GROUND, PALETTE, Rect, mix};
use crate::game::dots::Dots;
use crate::game::inputs::Inputs;
use crate::game::text::{Face, Style, Typesetter};
use crate::game_link::port::Standing;

const WHITE: Colour = 0xffffff;
const INK: Colour = 0x202020;
const FADED_INK: Colour = 0x606060;
const LINE: Colour = 0x989898;
const FOOTER: Colour = 0xe4e4e4;
const AMBER: Colour = 0xffbf00;
const DEAD: Colour = 0x484848;

/// The distance of words from the edge of the window.
const MARGIN_PX: u32 = 24;

/// The width of the rim around a player who is about to be attacked.
const RIM_PX: u32 = 8;

/// The width of the footer's right part.
const FPS_PX: u32 = 180;

/// Paints frames.
#[derive(Debug)]
pub(crate) struct Painter {
    typesetter: Typesetter,
    /// What lies below the moving squares, in order.
    ground: Vec<(Rect, Colour)>,
    /// What lies above them, in order.
    players: Vec<(Rect, Colour)>,
    lines: Vec<(u32, u32, Rc<Bitmap>)>,
    /// The footer's text, kept for its memory.
    footer: String,
}

/// What a frame shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// The game.
    pub(crate) board: &'a Board,
    /// Its own commands.
    pub(crate) inputs: &'a Inputs,
    /// The moving squares, if there are any.
    pub(crate) dots: Option<&'a Dots>,
    /// Frames per second, once known.
    pub(crate) fps: Option<f64>,
    /// The time.
    pub(crate) now_ns: u64,
}

impl Painter {
    /// A painter who has painted nothing yet.
    pub(crate) fn new() -> Painter {
        let typesetter = Typesetter::new();
        Painter { typesetter, ground: Vec::new(), players: Vec::new(), lines: Vec::new(), footer: String::new() }
    }

    /// Paints a frame of 1000×1200 pixels.
    ///
    /// # Panics
    /// When it has another size.
    pub(crate) fn paint(&mut self, frame: &mut [Colour], view: View<'_>) {
        self.ground.clear();
        self.players.clear();
        self.lines.clear();
        self.lay_ground(view.board);
        for (player, hp) in view.board.players() {
            self.lay_player(view.board, player, hp, view.inputs.proposed(player));
        }
        self.lay_header(view.board, view.now_ns);
        self.lay_footer(view.board, view.fps);
        for (number, mut band) in canvas::bands(frame).enumerate() {
            self.ground.iter().for_each(|(rect, colour)| band.fill(*rect, *colour));
            if let Some(dots) = view.dots {
                dots.paint(number, &mut band);
            }
            self.players.iter().for_each(|(rect, colour)| band.fill(*rect, *colour));
            self.lines.iter().for_each(|(x, y, line)| band.copy(*x, *y, line));
        }
    }

    fn lay_ground(&mut self, board: &Board) {
        let (header, footer) = papers(board);
        self.ground.push((Rect::new(0, 0, WINDOW_WIDTH_PX, HEADER_PX), header));
        self.ground.push((Rect::new(0, HEADER_PX, BOARD_PX, BOARD_PX), GROUND));
        let end = HEADER_PX + BOARD_PX;
        self.ground.push((Rect::new(0, end, WINDOW_WIDTH_PX, WINDOW_HEIGHT_PX - end), footer));
        // Where the second player of a finer grid stands tells how wide its cells are.
        let cell_px = match board.highest_player() {
            ..=16 => BOARD_PX / 4,
            count => position(2, count).0 - position(1, count).0,
        };
        for at in (1..=BOARD_PX / cell_px).map(|cell| cell * cell_px).filter(|at| at + 2 < BOARD_PX) {
            self.ground.push((Rect::new(at - 1, HEADER_PX, 2, BOARD_PX), LINE));
            self.ground.push((Rect::new(0, HEADER_PX + at - 1, BOARD_PX, 2), LINE));
        }
    }

    fn lay_player(&mut self, board: &Board, player: u8, hp: u8, proposed: u32) {
        let Some(square) = board.square(player) else { return };
        let paper = shade(player, hp);
        let ink = if brightness(paper) > 0.5 { INK } else { WHITE };
        if proposed > 0 {
            self.players.push((square.grown(RIM_PX), AMBER));
            let word = if proposed == 1 { "proposed".to_owned() } else { format!("proposed ×{proposed}") };
            let below = square.y + square.height + RIM_PX;
            let style = Style { face: Face::Regular, size_px: 19, ink: INK, paper: AMBER };
            self.centre(&word, square, below, style);
        }
        self.players.push((square, paper));
        let word = if hp == 0 { "dead".to_owned() } else { format!("{hp} hp") };
        self.centre(&player.to_string(), square, square.y + 4, Style { face: Face::Bold, size_px: 44, ink, paper });
        self.centre(&word, square, square.y + 50, Style { face: Face::Regular, size_px: 22, ink, paper });
    }

    fn lay_header(&mut self, board: &Board, now_ns: u64) {
        let headline = board.headline(now_ns);
        let (paper, _) = papers(board);
        let title = Style { face: Face::Bold, size_px: 46, ink: INK, paper };
        let detail = Style { face: Face::Regular, size_px: 27, ink: INK, paper };
        self.line(&headline.title, MARGIN_PX, 8, title);
        self.line(&headline.detail, MARGIN_PX, 58, detail);
    }

    fn lay_footer(&mut self, board: &Board, fps: Option<f64>) {
        let (_, paper) = papers(board);
        let style = Style { face: Face::Regular, size_px: 34, ink: INK, paper };
        let top = HEADER_PX + BOARD_PX + 33;
        let mut text = std::mem::take(&mut self.footer);
        text.clear();
        // Writing to a string does not fail.
        let _ = match board.server() {
            ServerSeen::Absent => write!(text, "no server"),
            ServerSeen::Awaited => write!(text, "no word from the server yet"),
            ServerSeen::Silent { .. } => write!(text, "no answer"),
            ServerSeen::Stands(Standing { node, role, term, leader }) => {
                let role = role_name(*role);
                match leader {
                    Some(leader) => write!(text, "{node}  ·  {role}  ·  term {term}  ·  leader {leader}"),
                    None => write!(text, "{node}  ·  {role}  ·  term {term}  ·  no leader"),
                }
            }
        };
        let room = WINDOW_WIDTH_PX - FPS_PX - 2 * MARGIN_PX;
        let line = self.typesetter.line(&text, style, room);
        self.lines.push((MARGIN_PX, top, line));
        text.clear();
        if let Some(fps) = fps {
            let _ = write!(text, "{fps:.0} fps");
        }
        let line = self.typesetter.line(&text, Style { ink: FADED_INK, ..style }, FPS_PX);
        self.lines.push((WINDOW_WIDTH_PX - MARGIN_PX - line.width as u32, top, line));
        self.footer = text;
    }

    fn line(&mut self, text: &str, x: u32, y: u32, style: Style) {
        let line = self.typesetter.line(text, style, WINDOW_WIDTH_PX - 2 * MARGIN_PX);
        self.lines.push((x, y, line));
    }

    /// A line at `y` in the middle of a square, at most a little wider than that.
    fn centre(&mut self, text: &str, square: Rect, y: u32, style: Style) {
        let line = self.typesetter.line(text, style, square.width + 2 * RIM_PX + 16);
        let x = (square.x + square.width / 2).saturating_sub(line.width as u32 / 2);
        self.lines.push((x, y, line));
    }
}

/// The colours of header and footer: amber where nothing can be decided.
fn papers(board: &Board) -> (Colour, Colour) {
    if board.is_stuck() { (AMBER, AMBER) } else { (WHITE, FOOTER) }
}

/// A player's colour, which fades into the ground with its hit points.
fn shade(player: u8, hp: u8) -> Colour {
    let colours = &PALETTE[1..];
    match hp {
        0 => DEAD,
        hp => {
            let share = 0.15 + 0.85 * f32::from(hp) / f32::from(FULL_HP);
            mix(colours[usize::from(player - 1) % colours.len()], share, GROUND)
        }
    }
}

/// How bright a colour looks, from 0 to 1.
fn brightness(colour: Colour) -> f32 {
    let channel = |shift: u32| (colour >> shift & 0xff) as f32 / 255.0;
    0.299 * channel(16) + 0.587 * channel(8) + 0.114 * channel(0)
}

fn role_name(role: RoleKind) -> &'static str {
    match role {
        RoleKind::Follower => "follower",
        RoleKind::PreCandidate => "pre-candidate",
        RoleKind::Candidate => "candidate",
        RoleKind::Leader => "leader",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::canvas::{HEIGHT, WIDTH};

    const NOW_NS: u64 = 10_000_000_000;

    fn paint(board: &Board, inputs: &Inputs, dots: Option<&Dots>) -> Vec<Colour> {
        let mut frame = vec![0; WIDTH * HEIGHT];
        Painter::new().paint(&mut frame, View { board, inputs, dots, fps: Some(60.0), now_ns: NOW_NS });
        frame
    }

    fn at(frame: &[Colour], x: u32, y: u32) -> Colour {
        frame[y as usize * WIDTH + x as usize]
    }

    fn standing(leader: Option<&str>) -> Standing {
        let node = "n2".parse().unwrap();
        Standing { node, role: RoleKind::Follower, term: 3, leader: leader.map(|name| name.parse().unwrap()) }
    }

    #[test]
    fn a_players_square_has_the_colour_of_its_hit_points() {
        let mut shades = Vec::new();
        for hp in [100, 70, 40, 10, 0] {
            let mut board = Board::new(0, true);
            board.restore(1, vec![(1, hp), (2, 100)], 0);
            let frame = paint(&board, &Inputs::new(), None);
            let Rect { x, y, .. } = board.square(1).unwrap();
            let corners = [(x, y), (x + 79, y), (x, y + 79), (x + 79, y + 79)].map(|(x, y)| at(&frame, x, y));
            assert_eq!(corners, [shade(1, hp); 4]);
            assert_eq!(at(&frame, x - 1, y), GROUND);
            shades.push(shade(1, hp));
        }
        shades.sort_unstable();
        shades.dedup();
        assert_eq!(shades.len(), 5);
    }

    #[test]
    fn a_click_is_drawn_as_proposed_until_its_order_comes() {
        let (board, mut inputs) = (Board::new(5, false), Inputs::new());
        let Rect { x, y, .. } = board.square(3).unwrap();
        let rim = |inputs: &Inputs| at(&paint(&board, inputs, None), x - 1, y - 1);
        assert_eq!(rim(&inputs), GROUND);
        let serial = inputs.propose(3, 0, 0);
        assert_eq!(rim(&inputs), AMBER);
        inputs.ordered(serial, 0, 0);
        assert_eq!(rim(&inputs), GROUND);
    }

    #[test]
    fn header_and_footer_are_amber_without_a_leader() {
        let mut board = Board::new(5, true);
        for (leader, papers) in [(Some("n1"), [WHITE, FOOTER]), (None, [AMBER, AMBER])] {
            board.stands(standing(leader));
            let frame = paint(&board, &Inputs::new(), None);
            assert_eq!([at(&frame, 2, 2), at(&frame, 2, 1198)], papers);
        }
    }

    #[test]
    fn the_footer_is_another_one_in_another_term() {
        let mut board = Board::new(5, true);
        let mut footers = Vec::new();
        for term in [3, 4] {
            board.stands(Standing { term, ..standing(Some("n1")) });
            footers.push(paint(&board, &Inputs::new(), None).split_off(1100 * WIDTH));
        }
        assert!(footers[0] != footers[1]);
    }

    #[test]
    fn squares_move_below_players_and_beside_words() {
        let mut dots = Dots::new(20_000, &mut fastrand::Rng::with_seed(1));
        dots.step();
        let board = Board::new(5, false);
        let (with, without) = (paint(&board, &Inputs::new(), Some(&dots)), paint(&board, &Inputs::new(), None));
        let rows = |frame: &[Colour], from: usize, to: usize| frame[from * WIDTH..to * WIDTH].to_vec();
        assert!(rows(&with, 0, 100) == rows(&without, 0, 100) && rows(&with, 1100, 1200) == rows(&without, 1100, 1200));
        let Rect { x, y, .. } = board.square(1).unwrap();
        assert_eq!(at(&with, x, y), shade(1, 100));
        let moved = with.iter().zip(&without).filter(|(with, without)| with != without).count();
        assert!(moved > 900_000, "{moved}");
    }

    #[test]
    fn boards_of_every_size_can_be_painted() {
        for players in [0, 1, 16, 17, 64] {
            let board = Board::new(players, true);
            let mut inputs = Inputs::new();
            for player in 1..=64 {
                inputs.propose(player, 0, 0);
            }
            let frame = paint(&board, &inputs, None);
            assert_eq!(frame.contains(&shade(1, 100)), players > 0);
        }
    }
}
