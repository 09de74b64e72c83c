//! A figure on its page: the takeaway above, what it was measured on below, and the plot of its kind between.
//!
//! Invariant: whatever the data, there is a page; where nothing can be shown it says so.

use super::axes::{LABEL_LINE_PX, label_font, note_font, tick_font};
use super::canvas::{Anchor, Canvas, Font, PAGE_PX, color, page};
use super::groups::{self, GroupsBlock};
use super::heat::{self, HeatBlock};
use super::lines::{Extent, LinesBlock};
use super::scale::Range;
use super::stacks::{self, StacksBlock};
use super::waterfall::{self, WaterfallBlock};
use crate::analysis::finding::{Figure, Plot};

/// Between two panels.
const PANEL_GAP_PX: f64 = 26.0;

/// What a page shows: it knows its size before it is drawn.
pub(crate) trait Block {
    /// The height, everything included.
    fn height_px(&self) -> f64;

    /// Draws it from its upper left corner.
    fn draw(&self, canvas: &mut Canvas<'_>, left: f64, top: f64);
}

/// How wide a chart is, and for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Width {
    /// A page of its own, 860 px: with title, subtitle and footer.
    #[default]
    Page,
    /// A column of a two-column paper, 380 px with texts of the same size: the plot alone, since a paper says the rest
    /// in its caption.
    Column,
}

impl Width {
    fn px(self) -> f64 {
        match self {
            Width::Page => PAGE_PX,
            Width::Column => 380.0,
        }
    }

    fn margin_px(self) -> f64 {
        match self {
            Width::Page => 24.0,
            Width::Column => 6.0,
        }
    }

    /// The height of a single plot, its axes not included.
    fn plot_px(self) -> f64 {
        match self {
            Width::Page => 300.0,
            Width::Column => 200.0,
        }
    }
}

/// Draws a figure as SVG; `provenance` is the footer: machine, revision, seed.
pub fn figure_svg(figure: &Figure, provenance: &str, width: Width) -> String {
    let margin = width.margin_px();
    let inner = width.px() - 2.0 * margin;
    let block = block(&figure.plot, inner, width.plot_px());
    let (title, subtitle, footer) = match width {
        Width::Page => (
            title_font().balanced(&figure.title, inner),
            note_font().wrap(&figure.subtitle, inner),
            tick_font().wrap(provenance, inner),
        ),
        Width::Column => Default::default(),
    };
    let head = 24.0 * title.len() as f64 + 17.0 * subtitle.len() as f64;
    let block_top = if head > 0.0 { 14.0 + head + 20.0 } else { margin };
    let foot = if footer.is_empty() { margin } else { 14.0 + 15.0 * footer.len() as f64 + 12.0 };
    let bottom = block_top + block.height_px();
    page(width.px(), bottom + foot, |canvas| {
        let mut y = 14.0;
        for line in &title {
            y += 24.0;
            canvas.text(line, margin, y, Anchor::Start, title_font());
        }
        y += 3.0;
        for line in &subtitle {
            y += 17.0;
            canvas.text(line, margin, y, Anchor::Start, note_font());
        }
        block.draw(canvas, margin, block_top);
        let mut y = bottom + 14.0;
        for line in &footer {
            y += 15.0;
            canvas.text(line, margin, y, Anchor::Start, tick_font());
        }
    })
}

fn title_font() -> Font {
    Font::new(18.0, color::INK).bold()
}

/// A plot on its own scales.
fn block(plot: &Plot, width_px: f64, plot_px: f64) -> Box<dyn Block + '_> {
    match plot {
        Plot::Panels { panels } if !panels.is_empty() => Box::new(PanelsBlock::new(panels, width_px, plot_px)),
        single => block_on(single, Extent::of_plot(single), width_px, plot_px),
    }
}

/// A plot that is not panels, on given scales.
fn block_on(plot: &Plot, extent: Extent, width_px: f64, plot_px: f64) -> Box<dyn Block + '_> {
    match plot {
        Plot::Lines(data) if !extent.y.is_empty() => Box::new(LinesBlock::new(data, extent, width_px, plot_px)),
        Plot::Groups(data) if !groups::range(data).is_empty() => {
            Box::new(GroupsBlock::new(data, extent.y, width_px, plot_px))
        }
        Plot::Heat(data) if !heat::is_empty(data) => Box::new(HeatBlock::new(data, width_px)),
        Plot::Stacks(data) if !stacks::range(data).is_empty() => {
            Box::new(StacksBlock::new(data, extent.y, width_px, plot_px))
        }
        Plot::Waterfall(data) if !waterfall::range(data).is_empty() => {
            Box::new(WaterfallBlock::new(data, extent.y, width_px, plot_px))
        }
        _ => Box::new(NothingBlock { width_px, height_px: plot_px / 2.0 }),
    }
}

impl Extent {
    /// What a plot reaches; panels and matrices have no axes of their own.
    fn of_plot(plot: &Plot) -> Extent {
        match plot {
            Plot::Lines(data) => Extent::of(data),
            Plot::Groups(data) => Extent { x: Range::default(), y: groups::range(data) },
            Plot::Stacks(data) => Extent { x: Range::default(), y: stacks::range(data) },
            Plot::Waterfall(data) => Extent { x: Range::default(), y: waterfall::range(data) },
            Plot::Heat(_) | Plot::Panels { .. } => Extent::default(),
        }
    }
}

/// Small multiples, row by row.
struct PanelsBlock<'a> {
    panels: Vec<Panel<'a>>,
    columns: usize,
    panel_px: f64,
}

struct Panel<'a> {
    title: Vec<String>,
    block: Box<dyn Block + 'a>,
}

impl<'a> PanelsBlock<'a> {
    /// Panels of one kind share their scales.
    fn new(panels: &'a [(String, Plot)], width_px: f64, plot_px: f64) -> PanelsBlock<'a> {
        let mut flat = Vec::new();
        flatten("", panels, &mut flat);
        let columns = if width_px >= 600.0 && flat.len() > 1 { 2 } else { 1 };
        let panel_px = (width_px - PANEL_GAP_PX * (columns as f64 - 1.0)) / columns as f64;
        let extent_of = |kind: &Plot| {
            let same = flat.iter().map(|(_, plot)| *plot).filter(|plot| on_same_axes(plot, kind));
            same.map(Extent::of_plot).fold(Extent::default(), Extent::and)
        };
        let panel = |(title, plot): &(String, &'a Plot)| Panel {
            title: label_font().wrap(title, panel_px),
            block: match extent_of(plot) {
                // An empty panel among others says that it is empty.
                _ if Extent::of_plot(plot).y.is_empty() && !matches!(plot, Plot::Heat(_)) => {
                    Box::new(NothingBlock { width_px: panel_px, height_px: plot_px / 2.0 })
                }
                extent => block_on(plot, extent, panel_px, plot_px * 0.62),
            },
        };
        let panels = flat.iter().map(panel).collect();
        PanelsBlock { panels, columns, panel_px }
    }

    /// The height of the titles and of the blocks in a row.
    fn row_px(row: &[Panel<'_>]) -> (f64, f64) {
        let titles = row.iter().map(|panel| panel.title.len()).max().unwrap_or(0) as f64 * (LABEL_LINE_PX + 1.0) + 6.0;
        (titles, row.iter().map(|panel| panel.block.height_px()).fold(0.0, f64::max))
    }
}

/// Panels within panels are panels with longer titles.
fn flatten<'a>(prefix: &str, panels: &'a [(String, Plot)], flat: &mut Vec<(String, &'a Plot)>) {
    for (title, plot) in panels {
        let title = if prefix.is_empty() { title.clone() } else { format!("{prefix}, {title}") };
        match plot {
            Plot::Panels { panels } => flatten(&title, panels, flat),
            plot => flat.push((title, plot)),
        }
    }
}

/// Whether two plots show the same on axes of the same kind, and so can be compared by eye.
fn on_same_axes(one: &Plot, other: &Plot) -> bool {
    match (one, other) {
        (Plot::Lines(one), Plot::Lines(other)) => one.x == other.x && one.y == other.y,
        (Plot::Groups(one), Plot::Groups(other)) => one.y == other.y,
        (Plot::Stacks(one), Plot::Stacks(other)) => one.y == other.y,
        (Plot::Waterfall(one), Plot::Waterfall(other)) => one.y == other.y,
        _ => false,
    }
}

impl Block for PanelsBlock<'_> {
    fn height_px(&self) -> f64 {
        let rows = self.panels.chunks(self.columns);
        let heights = rows.map(PanelsBlock::row_px).map(|(titles, blocks)| titles + blocks + PANEL_GAP_PX);
        (heights.sum::<f64>() - PANEL_GAP_PX).max(20.0)
    }

    fn draw(&self, canvas: &mut Canvas<'_>, left: f64, top: f64) {
        let mut top = top;
        for row in self.panels.chunks(self.columns) {
            let (titles, blocks) = PanelsBlock::row_px(row);
            for (place, panel) in row.iter().enumerate() {
                let x = left + (self.panel_px + PANEL_GAP_PX) * place as f64;
                for (number, line) in panel.title.iter().enumerate() {
                    let y = top + 12.0 + (LABEL_LINE_PX + 1.0) * number as f64;
                    canvas.text(line, x, y, Anchor::Start, panel_font());
                }
                panel.block.draw(canvas, x, top + titles);
            }
            top += titles + blocks + PANEL_GAP_PX;
        }
    }
}

fn panel_font() -> Font {
    label_font().with(color::BLUE)
}

/// A plot of nothing.
struct NothingBlock {
    width_px: f64,
    height_px: f64,
}

impl Block for NothingBlock {
    fn height_px(&self) -> f64 {
        self.height_px
    }

    fn draw(&self, canvas: &mut Canvas<'_>, left: f64, top: f64) {
        canvas.rect(left, top, left + self.width_px, top + self.height_px, color::FAINT, 0.35);
        let (x, y) = (left + self.width_px / 2.0, top + self.height_px / 2.0 + 4.0);
        canvas.text("nothing was measured that can be drawn", x, y, Anchor::Middle, note_font());
    }
}
