//! A report as one HTML file: the charts are in it, and there is nothing to load and nothing to run.
//!
//! Invariant: no text of the data is taken for markup.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::document::Document;
use crate::analysis::finding::{Figure, Finding, Table};

const STYLE: &str = "\
body{font:16px/1.5 'Noto Sans','Helvetica Neue',Arial,sans-serif;color:#222;background:#fff;max-width:860px;margin:2rem \
auto;padding:0 1rem}
h1{font-size:1.55rem;line-height:1.3;margin-bottom:.4rem}
h2{font-size:1.2rem;line-height:1.35;margin-top:2.6rem;border-top:1px solid #ddd;padding-top:1.4rem}
h3{font-size:1rem;margin:1.6rem 0 .4rem}
p.lead,figcaption,nav{color:#4d4d4d}
p.takeaway{font-weight:bold}
nav li{margin:.15rem 0}
a{color:#0072b2}
figure{margin:1.4rem 0;break-inside:avoid}
figure svg{display:block;max-width:100%;height:auto}
figcaption{font-size:.85rem;margin:.3rem 24px 0}
.table{overflow-x:auto}
table{border-collapse:collapse;font-size:.85rem;break-inside:avoid}
th,td{text-align:left;vertical-align:top;padding:.25rem .9rem .25rem 0;border-bottom:1px solid #e2e2e2}
td{font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
ul{padding-left:1.2rem}
.caveats{font-size:.9rem}
@media print{body{font-size:10.5pt;margin:0;max-width:none}h2{break-after:avoid}nav{display:none}a{color:inherit}}
";

/// The report as a page; `charts` are the figures as SVG, by name.
pub(crate) fn write(document: &Document<'_>, charts: &BTreeMap<String, String>) -> String {
    let answer = escaped(&document.answer);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>{answer}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{answer}</h1>\n<p class=\"lead\">{}</p>\n",
        escaped(&document.lead)
    );
    out.push_str("<nav>\n<ul>\n");
    for finding in document.findings {
        let (id, question) = (finding.experiment, escaped(&finding.question));
        let _ = writeln!(out, "<li><a href=\"#{id}\">{id}</a> {question}</li>");
    }
    out.push_str("<li><a href=\"#open\">What could not be concluded</a></li>\n");
    out.push_str("<li><a href=\"#method\">Method</a></li>\n</ul>\n</nav>\n");
    for finding in document.findings {
        write_finding(&mut out, finding, charts);
    }
    out.push_str("<h2 id=\"open\">What could not be concluded</h2>\n");
    write_list(&mut out, "open", &document.open);
    out.push_str("<h2 id=\"method\">Method</h2>\n");
    for paragraph in document.method {
        let _ = writeln!(out, "<p>{}</p>", escaped(paragraph));
    }
    write_table(&mut out, &document.extent);
    write_table(&mut out, &document.machine);
    out.push_str("</body>\n</html>\n");
    out
}

fn write_finding(out: &mut String, finding: &Finding, charts: &BTreeMap<String, String>) {
    let (id, question) = (finding.experiment, escaped(&finding.question));
    let _ = writeln!(out, "<h2 id=\"{id}\">{id} · {question}</h2>");
    let _ = writeln!(out, "<p class=\"takeaway\">{}</p>", escaped(&finding.takeaway));
    finding.figures.iter().for_each(|figure| write_figure(out, figure, charts));
    finding.tables.iter().for_each(|table| write_table(out, table));
    if !finding.caveats.is_empty() {
        out.push_str("<h3>To bear in mind</h3>\n");
        write_list(out, "caveats", &finding.caveats);
    }
}

fn write_figure(out: &mut String, figure: &Figure, charts: &BTreeMap<String, String>) {
    let Some(svg) = charts.get(&figure.name) else { return };
    let (name, title, caption) = (&figure.name, escaped(&figure.title), escaped(&figure.caption));
    let _ = writeln!(
        out,
        "<figure id=\"{name}\">\n<div role=\"img\" aria-label=\"{title}\">\n{}\n</div>\n\
         <figcaption>Figure {name}: {caption}</figcaption>\n</figure>",
        svg.trim()
    );
}

fn write_table(out: &mut String, table: &Table) {
    let row = |tag: &str, cells: &[String]| -> String {
        cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect()
    };
    let _ = writeln!(out, "<h3>{}</h3>\n<div class=\"table\">\n<table>", escaped(&table.title));
    let _ = writeln!(out, "<thead><tr>{}</tr></thead>\n<tbody>", row("th", &table.columns));
    for cells in &table.rows {
        let _ = writeln!(out, "<tr>{}</tr>", row("td", cells));
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

fn write_list(out: &mut String, class: &str, items: &[String]) {
    let _ = writeln!(out, "<ul class=\"{class}\">");
    for item in items {
        let _ = writeln!(out, "<li>{}</li>", escaped(item));
    }
    out.push_str("</ul>\n");
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_no_markup() {
        assert_eq!(escaped(r#"<a href="x">&"#), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
