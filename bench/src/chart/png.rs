//! PNG from SVG, with the fonts that come with the program.

use std::sync::{Arc, LazyLock};

use anyhow::Context as _;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use super::Width;

/// Renders an SVG at twice its size.
///
/// # Errors
/// When the text is no SVG, or of no size.
pub fn to_png(svg: &str) -> anyhow::Result<Vec<u8>> {
    zoomed(svg, 2.0)
}

impl Width {
    /// Renders a chart of this width: twice its size for a page, four times for a paper, which is printed.
    ///
    /// # Errors
    /// When the text is no SVG, or of no size.
    pub fn to_png(self, svg: &str) -> anyhow::Result<Vec<u8>> {
        match self {
            Width::Page => to_png(svg),
            Width::Column => zoomed(svg, 4.0),
        }
    }
}

/// Renders an SVG with so many pixels for one of its own.
fn zoomed(svg: &str, zoom: f32) -> anyhow::Result<Vec<u8>> {
    let options = Options { fontdb: fonts(), font_family: "Noto Sans".into(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).context("the chart is not an SVG that can be rendered")?;
    let size = tree.size();
    let (width, height) = ((size.width() * zoom).ceil() as u32, (size.height() * zoom).ceil() as u32);
    let mut pixels = Pixmap::new(width, height).context("the chart has no size")?;
    resvg::render(&tree, Transform::from_scale(zoom, zoom), &mut pixels.as_mut());
    pixels.encode_png().context("the chart cannot be encoded as PNG")
}

/// The fonts of the program; read once, since many charts are rendered at a time.
fn fonts() -> Arc<fontdb::Database> {
    static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(ttf_noto_sans::REGULAR.to_vec());
        fonts.load_font_data(ttf_noto_sans::BOLD.to_vec());
        fonts.set_sans_serif_family("Noto Sans");
        Arc::new(fonts)
    });
    Arc::clone(&FONTS)
}
