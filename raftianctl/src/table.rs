//! Tables for people: aligned columns, two blanks apart, no lines.
//!
//! Invariant: widths are counted in characters without colour, and a row never ends in blanks.

use crate::output::Paint;

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// One cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    paint: Paint,
}

/// Rows under a header.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Cell {
    /// A coloured cell.
    pub(crate) fn painted(text: impl Into<String>, paint: Paint) -> Cell {
        Cell { text: text.into(), paint }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: text.into(), paint: Paint::Plain }
    }
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(columns: impl IntoIterator<Item = (impl Into<String>, Align)>) -> Table {
        Table { columns: columns.into_iter().map(|(name, align)| (name.into(), align)).collect(), rows: Vec::new() }
    }

    /// Adds a row; cells it lacks are empty.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<Cell>>) {
        let mut row: Vec<Cell> = cells.into_iter().map(Into::into).collect();
        row.resize(self.columns.len(), Cell::default());
        self.rows.push(row);
    }

    /// The table as lines, each ended by a line feed.
    pub(crate) fn render(&self, colour: bool) -> String {
        let header: Vec<Cell> = self.columns.iter().map(|(name, _)| Cell::painted(name.as_str(), Paint::Dim)).collect();
        let lines = || std::iter::once(&header).chain(&self.rows);
        let width = |column: usize| lines().map(|row| row[column].text.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut out = String::new();
        for row in lines() {
            let mut line = String::new();
            // Blanks are held back until something follows them.
            let mut blanks = 0;
            for ((cell, (_, align)), width) in row.iter().zip(&self.columns).zip(&widths) {
                let missing = width - cell.text.chars().count();
                let (before, after) = if *align == Align::Right { (missing, 0) } else { (0, missing) };
                if cell.text.is_empty() {
                    blanks += width + 2;
                    continue;
                }
                line.extend(std::iter::repeat_n(' ', blanks + before));
                line.push_str(&cell.paint.apply(&cell.text, colour));
                blanks = after + 2;
            }
            out.push_str(&line);
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([("NODE", Align::Left), ("TERM", Align::Right), ("NOTE", Align::Left)]);
        table.row(["n1", "7", "größer"]);
        table.row(["n10", "", ""]);
        table.row(["n2", "12345", "x"]);
        table
    }

    #[test]
    fn columns_line_up_and_rows_do_not_trail() {
        assert_eq!(table().render(false), "NODE   TERM  NOTE\nn1        7  größer\nn10\nn2    12345  x\n");
    }

    #[test]
    fn colour_changes_no_width() {
        let mut coloured = table();
        coloured.row([Cell::painted("n3", Paint::Bad), "1".into(), "y".into()]);
        let with = coloured.render(true);
        assert!(with.contains("\x1b[31mn3\x1b[0m        1  y\n"), "{with:?}");
        assert!(!coloured.render(false).contains('\x1b'));
    }
}
