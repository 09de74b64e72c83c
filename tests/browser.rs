//! A browser without a screen, for end-to-end tests of pages: Debian's Chromium behind its WebDriver.
//!
//! Invariants: each browser has a folder and a driver of its own, on a port that the system chooses, so tests run in parallel;
//! no process and no file of it is left when it is dropped. Where no browser is installed, [`Browser::start`] prints so and gives
//! none, and the test ends.
//!
//! Deliberately absent: other browsers; waiting for a time. What a page does in the end is awaited by [`Browser::until`].

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;
use serde_json::Value;
use thirtyfour::prelude::WebDriverResult;
use thirtyfour::{By, ChromeCapabilities, ChromiumLikeCapabilities as _, DesiredCapabilities, WebDriver, WebElement};
use tokio::runtime::Runtime;

use crate::{eventually, signal};

/// What Chromium is called, here and there.
const CHROMIUMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A window with one page. As its size is given, so is the part of it that shows the page.
#[derive(Debug)]
pub struct Browser {
    runtime: Runtime,
    driver: WebDriver,
    chromedriver: Child,
    /// Profile and caches; it also marks the processes.
    folder: PathBuf,
}

impl Browser {
    /// Starts a browser whose page has so many pixels across and down; `None`, with a printed reason, where none is installed.
    ///
    /// # Panics
    /// When one is installed and does not start.
    pub fn start(width: u32, height: u32) -> Option<Browser> {
        let (Some(chromium), Some(chromedriver)) =
            (CHROMIUMS.into_iter().find_map(installed), installed("chromedriver"))
        else {
            eprintln!("skipped: no browser (Debian: apt-get install chromium chromium-driver)");
            return None;
        };
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("raftian-browser-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a scratch folder");
        let mut chromedriver = Command::new(chromedriver)
            .arg("--port=0")
            // What the driver and the browser write beside the profile goes there too.
            .env("TMPDIR", &folder)
            .env("HOME", &folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver runs");
        let port = port_of(&mut chromedriver);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let capabilities = capabilities(&chromium, &folder).expect("capabilities are JSON");
        let session = runtime.block_on(WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities));
        let browser = match session {
            Ok(driver) => Browser { runtime, driver, chromedriver, folder },
            Err(error) => {
                end(&mut chromedriver, &folder);
                panic!("no browser session: {error}");
            }
        };
        browser.resize(width, height);
        Some(browser)
    }

    /// Gives the page so many pixels across and down, however narrow: a window cannot be as narrow as a phone.
    ///
    /// # Panics
    /// When the browser does not.
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = serde_json::json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Prefers a dark page or a light one, as a system's settings do.
    ///
    /// # Panics
    /// When the browser does not.
    pub fn prefer_dark(&self, is_dark: bool) {
        let scheme = if is_dark { "dark" } else { "light" };
        let features = serde_json::json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", features);
    }

    /// A call of the browser's own protocol.
    fn devtools(&self, method: &str, parameters: Value) {
        let tools = self.driver.cdp();
        self.wait(tools.send_raw(method, parameters));
    }

    /// Opens a page and waits until it is loaded.
    ///
    /// # Panics
    /// When it cannot be.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.wait(self.driver.goto(url));
    }

    /// What a script on the page returns.
    ///
    /// # Panics
    /// When it throws.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.wait(self.driver.execute(script, Vec::new())).json().clone()
    }

    /// Waits until an expression on the page is true.
    ///
    /// # Panics
    /// When it throws, or is never true.
    #[track_caller]
    pub fn until(&self, expression: &str) {
        let script = format!("return Boolean({expression});");
        eventually(expression, || self.run(&script) == Value::Bool(true));
    }

    /// The first element that this CSS selector names.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn find(&self, selector: &str) -> WebElement {
        self.wait(self.driver.find(By::Css(selector)))
    }

    /// Clicks in the middle of an element, as a mouse does.
    ///
    /// # Panics
    /// When there is none, or another one lies above it.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.wait(element.click());
    }

    /// Clicks at a place of the page, in pixels from its upper left corner.
    ///
    /// # Panics
    /// When it is not in the window.
    #[track_caller]
    pub fn click_at(&self, x: i64, y: i64) {
        self.wait(self.driver.action_chain().move_to(x, y).click().perform());
    }

    /// Drags with the left button from one place of the page to another.
    ///
    /// # Panics
    /// When one is not in the window.
    #[track_caller]
    pub fn drag(&self, from: (i64, i64), to: (i64, i64)) {
        let chain = self.driver.action_chain().move_to(from.0, from.1).click_and_hold();
        self.wait(chain.move_to(to.0, to.1).release().perform());
    }

    /// Presses these keys, one after another, wherever the focus is.
    ///
    /// # Panics
    /// When the browser does not take them.
    #[track_caller]
    pub fn press(&self, keys: impl AsRef<str>) {
        self.wait(self.driver.action_chain().send_keys(keys.as_ref()).perform());
    }

    /// Writes what the page shows into a PNG file.
    ///
    /// # Panics
    /// When it cannot.
    pub fn screenshot(&self, path: &Path) {
        self.wait(self.driver.screenshot(path));
    }

    /// The driver, for what has no shorter way here; its futures end in [`wait`](Browser::wait).
    pub fn driver(&self) -> &WebDriver {
        &self.driver
    }

    /// What comes of a call of the driver.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn wait<T>(&self, call: impl Future<Output = WebDriverResult<T>>) -> T {
        self.runtime.block_on(call).unwrap_or_else(|error| panic!("the browser: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A test that fails half-way may have left the browser in any state; what does not end by itself is ended below.
        let _ = self.runtime.block_on(self.driver.clone().quit());
        end(&mut self.chromedriver, &self.folder);
    }
}

fn capabilities(chromium: &Path, folder: &Path) -> WebDriverResult<ChromeCapabilities> {
    let mut capabilities = DesiredCapabilities::chrome();
    capabilities.set_binary(&chromium.display().to_string())?;
    let profile = format!("--user-data-dir={}", folder.display());
    // No sandbox: Chromium has none for root, which is what tests run as in a container.
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--mute-audio",
    ];
    for argument in arguments.into_iter().chain([&*profile]) {
        capabilities.add_arg(argument)?;
    }
    Ok(capabilities)
}

/// Where a program is, as a shell would find it.
fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The port that a driver says it has taken.
fn port_of(chromedriver: &mut Child) -> u16 {
    let output = chromedriver.stdout.take().expect("its output is a pipe");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let port =
        lines.find_map(|line| line.rsplit_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok());
    // It goes on to write, and would end if nothing read it.
    std::thread::spawn(move || lines.for_each(drop));
    port.expect("chromedriver names its port")
}

/// Ends a driver and what it has left: every process on whose command line the folder stands.
fn end(chromedriver: &mut Child, folder: &Path) {
    let _ = chromedriver.kill();
    let _ = chromedriver.wait();
    let leftovers = || processes_with(folder.as_os_str());
    leftovers().into_iter().for_each(|pid| signal(pid, Signal::KILL));
    if !std::thread::panicking() {
        eventually("the browser's processes are gone", || leftovers().is_empty());
    }
    let _ = fs::remove_dir_all(folder);
}

fn processes_with(mark: &OsStr) -> Vec<i32> {
    let has_mark = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.windows(mark.len()).any(|part| part == mark.as_bytes())
    };
    let entries = fs::read_dir("/proc").expect("a Linux system");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter(has_mark).collect()
}
