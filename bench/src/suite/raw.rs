//! The raw files of trials as text: interval logs of histograms and tables of series, each with a line's trial on it.
//!
//! Invariant: what is written reads back as it was. A name is a file name: letters, digits, `_` and `-` only.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

use crate::experiments::{Measured, Series};
use crate::suite::trial::{ExperimentId, Trial};

/// The file of a histogram, by its path in the run's folder.
pub(crate) fn histogram_file(experiment: ExperimentId, name: &str) -> String {
    format!("hdr/e{}-{name}.hlog", experiment.0)
}

/// The file of a series, by its path in the run's folder.
pub(crate) fn series_file(experiment: ExperimentId, name: &str) -> String {
    format!("series/e{}-{name}.csv", experiment.0)
}

/// What is wrong with what a trial measured, if anything: it could not be kept as it is.
pub(crate) fn check(measured: &Measured) -> Result<(), String> {
    let names = measured.metrics.keys().chain(measured.histograms.keys()).chain(measured.series.keys());
    if let Some(name) = names.clone().find(|name| !is_name(name)) {
        return Err(format!("`{name}` cannot be the name of a measurement"));
    }
    if let Some((name, value)) = measured.metrics.iter().find(|(_, value)| !value.is_finite()) {
        return Err(format!("the metric {name} is {value}; what was not measured must be absent"));
    }
    for (name, series) in &measured.series {
        let columns = series.columns.len();
        if columns == 0 || series.rows.iter().any(|row| row.len() != columns) {
            return Err(format!("the rows of the series {name} do not have its {columns} columns"));
        }
        if let Some(column) = series.columns.iter().find(|column| !is_name(column)) {
            return Err(format!("`{column}` cannot be the name of a column"));
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        && !name.starts_with('.')
}

/// A histogram as a line of an interval log.
pub(crate) fn histogram_line(trial: &Trial, histogram: &Histogram<u64>) -> anyhow::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let builder = IntervalLogWriterBuilder::new();
    let mut log = builder.begin_log_with(&mut line, &mut serializer)?;
    let tag = trial.number.to_string();
    let (start, lasting) = (Duration::from_millis(trial.started_unix_ms), Duration::from_millis(trial.measured_ms));
    log.write_histogram(histogram, start, lasting, Tag::new(&tag)).context("a histogram cannot be written")?;
    Ok(line)
}

/// The histograms of an interval log by trial, still encoded.
pub(crate) fn read_histograms(log: &[u8]) -> anyhow::Result<BTreeMap<u32, String>> {
    let mut all = BTreeMap::new();
    for entry in IntervalLogIterator::new(log) {
        match entry.map_err(|error| anyhow::anyhow!("a line is no histogram: {error:?}"))? {
            LogEntry::Interval(interval) => {
                let tag = interval.tag().context("a histogram names no trial")?;
                let number = tag.as_str().parse().with_context(|| format!("`{}` is no trial", tag.as_str()))?;
                all.insert(number, interval.encoded_histogram().to_owned());
            }
            LogEntry::StartTime(_) | LogEntry::BaseTime(_) => {}
        }
    }
    Ok(all)
}

/// A histogram from its encoded form.
pub(crate) fn decode(encoded: &str) -> anyhow::Result<Histogram<u64>> {
    let bytes = STANDARD.decode(encoded).context("a histogram is not base64")?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| anyhow::anyhow!("no histogram: {error:?}"))
}

/// The first line of a table of series.
pub(crate) fn series_header(series: &Series) -> String {
    format!("trial,{}\n", series.columns.join(","))
}

/// The rows of a series as lines of a table.
pub(crate) fn series_lines(number: u32, series: &Series) -> String {
    let mut lines = String::new();
    for row in &series.rows {
        let _ = write!(lines, "{number}");
        for value in row {
            let _ = write!(lines, ",{value}");
        }
        lines.push('\n');
    }
    lines
}

/// The series of a table by trial.
pub(crate) fn read_series(table: &str) -> anyhow::Result<(Vec<String>, BTreeMap<u32, Series>)> {
    let mut lines = table.lines();
    let header = lines.next().context("a table without a header")?;
    let Some(columns) = header.strip_prefix("trial,") else { bail!("the first column of a table is not `trial`") };
    let columns: Vec<String> = columns.split(',').map(str::to_owned).collect();
    let mut all: BTreeMap<u32, Series> = BTreeMap::new();
    for line in lines {
        let (number, values) = line.split_once(',').with_context(|| format!("`{line}` is no row"))?;
        let number = number.parse().with_context(|| format!("`{line}` names no trial"))?;
        let row: Result<Vec<f64>, _> = values.split(',').map(str::parse).collect();
        let row = row.with_context(|| format!("`{line}` is not all numbers"))?;
        ensure!(row.len() == columns.len(), "`{line}` does not have {} columns", columns.len());
        all.entry(number).or_insert_with(|| Series { columns: columns.clone(), rows: Vec::new() }).rows.push(row);
    }
    Ok((columns, all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::trial::Arm;

    #[test]
    fn histograms_read_back_as_they_were() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for value in [1_u64, 500, 1_000_000, 3_000_000_000] {
            histogram.record(value).unwrap();
        }
        let mut log = Vec::new();
        for number in [3, 11] {
            let trial = Trial { number, ..Trial::new(ExperimentId(4), Arm::default(), 0, 0) };
            log.extend(histogram_line(&trial, &histogram).unwrap());
        }
        let read = read_histograms(&log).unwrap();
        assert_eq!(read.keys().copied().collect::<Vec<_>>(), [3, 11]);
        assert_eq!(decode(&read[&11]).unwrap(), histogram);
        assert!(log.starts_with(b"Tag=3,0.000,0.000,300"), "{}", String::from_utf8_lossy(&log));
    }

    #[test]
    fn series_read_back_as_they_were_even_what_is_no_number() {
        let series = Series {
            columns: vec!["second".into(), "fps".into()],
            rows: vec![vec![0.0, 0.1 + 0.2], vec![1.0, f64::INFINITY], vec![1e-300, -0.0]],
        };
        let table = series_header(&series) + &series_lines(7, &series) + &series_lines(9, &series);
        let (columns, read) = read_series(&table).unwrap();
        assert_eq!((columns, &read[&7], &read[&9]), (series.columns.clone(), &series, &series));
        let (_, read) = read_series("trial,x\n2,NaN\n").unwrap();
        assert!(read[&2].rows[0][0].is_nan());
    }

    #[test]
    fn what_is_no_table_is_refused_in_words() {
        for (table, says) in
            [("", "header"), ("x,y\n", "`trial`"), ("trial,x\n1,2,3\n", "1 columns"), ("trial,x\na,2\n", "names no")]
        {
            assert!(format!("{:#}", read_series(table).unwrap_err()).contains(says), "{table}");
        }
        assert!(read_histograms(b"nonsense\n").is_err());
    }

    #[test]
    fn what_could_not_be_kept_is_refused() {
        let metric = |name: &str, value| Measured { metrics: [(name.to_owned(), value)].into(), ..Measured::default() };
        assert_eq!(check(&metric("frame_us_p99.9", 1.0)), Ok(()));
        assert!(check(&metric("fps", f64::NAN)).unwrap_err().contains("must be absent"));
        assert!(check(&metric("../fps", 1.0)).unwrap_err().contains("cannot be the name"));
        let series = Series { columns: vec!["x".into()], rows: vec![vec![1.0, 2.0]] };
        let ragged = Measured { series: [("s".to_owned(), series)].into(), ..Measured::default() };
        assert!(check(&ragged).unwrap_err().contains("1 columns"));
    }
}
