//! The end of a log as a strip of digits: an entry each, by the last digit of its term, with the term's colour behind it.
//!
//! Invariant: what colours say, the characters say too: `│` stands after the last committed entry, `≠` at the first entry that
//! differs from the log it is compared with.

use raftian_view::NodeView;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

/// The colours of terms, again and again.
const TERMS: [Color; 6] = [Color::Blue, Color::Green, Color::Magenta, Color::Cyan, Color::Yellow, Color::Red];

/// A strip of so many columns, of the last entries.
pub(super) fn strip(node: &NodeView, columns: usize, colour: bool) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    // One column is for the line of the commit index.
    let entries = node.tail.terms.len().min(columns.saturating_sub(1));
    let skipped = node.tail.terms.len() - entries;
    for (place, term) in node.tail.terms.iter().enumerate().skip(skipped) {
        let index = node.tail.from + place as u64;
        let differs = node.differs_at == Some(index);
        let text = if differs { "≠".to_owned() } else { (term % 10).to_string() };
        let mut style = Style::default();
        if colour {
            style = style.fg(Color::Black).bg(TERMS[(*term as usize) % TERMS.len()]);
        }
        if index > node.commit_index {
            style = style.add_modifier(Modifier::DIM);
        }
        spans.push(Span::styled(text, style));
        if index == node.commit_index {
            spans.push(Span::raw("│"));
        }
    }
    spans
}
