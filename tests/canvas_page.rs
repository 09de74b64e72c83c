//! The painters' page in a browser.

use raftian_tests::browser::Browser;

#[test]
fn a_browser_has_the_size_and_the_colour_scheme_that_it_was_given() {
    let Some(browser) = Browser::start(390, 844) else { return };
    browser.open("data:text/html,<button onclick='document.title=innerWidth'>Width</button><input>");
    browser.click("button");
    browser.until("document.title === '390'");
    browser.click("input");
    browser.press("abc");
    browser.until("document.querySelector('input').value === 'abc'");
    browser.prefer_dark(true);
    browser.until("matchMedia('(prefers-color-scheme: dark)').matches");
}
