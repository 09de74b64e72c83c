//! The files of the page. They are part of the program, so that it works without a network and without being installed.
//!
//! Who works on the page sets `RAFTIAN_PAGE` to the folder that it lies in; then each file is read anew when it is asked for.

use std::borrow::Cow;
use std::path::Path;

use raftian_rpc::serve::PageFile;

/// The folder of a page that is worked on.
const OVERRIDE: &str = "RAFTIAN_PAGE";

macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_bytes!(concat!("../../page/lab/", $name)))),*]
    };
}

/// The files by name.
const FILES: &[(&str, &[u8])] = files! {
    "actions.js"
    "app.js"
    "attack.js"
    "canvas.js"
    "charts.js"
    "client.js"
    "cluster.css"
    "cluster.js"
    "controls.js"
    "dom.js"
    "events.js"
    "flight.js"
    "gestures.js"
    "icon.svg"
    "index.html"
    "kv.js"
    "live.js"
    "logs.js"
    "main.js"
    "menu.js"
    "net.js"
    "plot.js"
    "ring.js"
    "scenarios.js"
    "scheme.js"
    "shapes.js"
    "store.js"
    "story.js"
    "style.css"
    "views.css"
    "words.js"
};

/// The file of a path, if there is one: `/` is `index.html`.
pub(crate) fn file(path: &str) -> Option<PageFile> {
    let wanted = path.strip_prefix('/')?;
    let wanted = if wanted.is_empty() { "index.html" } else { wanted };
    let (name, content) = FILES.iter().find(|(name, _)| *name == wanted)?;
    let media_type = match Path::new(name).extension()?.to_str()? {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let content = match std::env::var_os(OVERRIDE) {
        Some(folder) => Cow::Owned(std::fs::read(Path::new(&folder).join(name)).ok()?),
        None => Cow::Borrowed(*content),
    };
    Some(PageFile { media_type, content })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_its_files_and_no_others() {
        assert_eq!(file("/").unwrap().media_type, "text/html; charset=utf-8");
        for path in ["", "index.html", "/../Cargo.toml", "/lab/index.html", "//index.html", "/index.html/"] {
            assert!(file(path).is_none(), "{path}");
        }
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page/lab");
        let mut there: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        there.sort();
        let mut served: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        served.sort();
        assert_eq!(served, there);
    }
}
