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
    rows: Vec<Row>,
}

#[derive(Debug)]
enum Row {
    /// One cell in each column.
    Cells(Vec<Cell>),
    /// A text across all columns, which decides no width.
    Line(String),
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
        self.rows.push(Row::Cells(row));
    }

    /// Adds a text across all columns.
    pub(crate) fn line(&mut self, text: impl Into<String>) {
        self.rows.push(Row::Line(text.into()));
    }

    /// The table without the first of the `expendable` columns that must go for it to fit into so many characters. Where
    /// all of them are not enough, the others stay.
    pub(crate) fn fitting(mut self, columns: Option<usize>, expendable: &[&str]) -> Table {
        let mut expendable = expendable.iter();
        while columns.is_some_and(|columns| self.width() > columns) {
            let Some(name) = expendable.next() else { break };
            let Some(at) = self.columns.iter().position(|(column, _)| column == name) else { continue };
            self.columns.remove(at);
            for row in &mut self.rows {
                if let Row::Cells(cells) = row {
                    cells.remove(at);
                }
            }
        }
        self
    }

    /// The characters of the longest line there may be.
    fn width(&self) -> usize {
        let widths: usize = (0..self.columns.len()).map(|column| self.width_of(column) + 2).sum();
        widths.saturating_sub(2)
    }

    fn width_of(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| match row {
            Row::Cells(cells) => Some(cells[column].text.chars().count()),
            Row::Line(_) => None,
        });
        cells.chain([self.columns[column].0.chars().count()]).max().unwrap_or(0)
    }

    /// The table as lines, each ended by a line feed.
    pub(crate) fn render(&self, colour: bool) -> String {
        let header = self.columns.iter().map(|(name, _)| Cell::painted(name.as_str(), Paint::Dim)).collect();
        let widths: Vec<usize> = (0..self.columns.len()).map(|column| self.width_of(column)).collect();
        let mut out = String::new();
        for row in std::iter::once(&Row::Cells(header)).chain(&self.rows) {
            let mut line = String::new();
            let row = match row {
                Row::Cells(cells) => cells,
                Row::Line(text) => {
                    out.push_str(&format!("{text}\n"));
                    continue;
                }
            };
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
    fn columns_go_in_their_order_until_the_others_fit() {
        let fitting = |columns| table().fitting(columns, &["TERM", "NOTE", "SIZE"]).render(false);
        assert_eq!(fitting(None), table().render(false));
        assert_eq!(fitting(Some(19)), table().render(false));
        assert_eq!(fitting(Some(18)), "NODE  NOTE\nn1    größer\nn10\nn2    x\n");
        assert_eq!(fitting(Some(1)), "NODE\nn1\nn10\nn2\n");
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
