//! A strict parser of the text formats of metrics: Prometheus 0.0.4 and OpenMetrics 1.0.0.
//!
//! It accepts less than readers do: every family has HELP and TYPE, names follow the conventions, and the samples of a
//! family are complete and in order.

use std::collections::{BTreeMap, BTreeSet};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Prometheus,
    OpenMetrics,
}

/// The samples of a metric with one name before its suffix.
#[derive(Clone, Debug, Default)]
pub struct Family {
    pub kind: String,
    pub help: String,
    pub unit: Option<String>,
    pub samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// The families of a text by name.
pub type Families = BTreeMap<String, Family>;

/// Parses a text and checks it.
///
/// # Errors
/// The first violation of the format or of the conventions, with the number of its line.
pub fn parse(text: &str, format: Format) -> Result<Families, String> {
    let body = match format {
        Format::Prometheus => text,
        Format::OpenMetrics => {
            text.strip_suffix("# EOF\n").ok_or("the text does not end with # EOF")?
        }
    };
    if !body.is_empty() && !body.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    let (mut families, mut current) = (Families::new(), String::new());
    for (index, line) in body.lines().enumerate() {
        let at = |error: String| format!("line {}: {error}: {line}", index + 1);
        match line.strip_prefix("# ") {
            Some(meta) => {
                let (kind, name, text) = metadata(meta).map_err(at)?;
                if name != current {
                    if kind != "HELP" || families.contains_key(name) {
                        return Err(at("a family must begin with HELP and appear once".into()));
                    }
                    current = name.to_owned();
                }
                let family = families.entry(current.clone()).or_default();
                add_metadata(family, kind, name, text).map_err(at)?;
            }
            None => {
                let sample = sample(line).map_err(at)?;
                let family = families.get_mut(&current).ok_or_else(|| at("no family".into()))?;
                if family.kind.is_empty() {
                    return Err(at("a sample before the TYPE of its family".into()));
                }
                check_name(&current, family, &sample, format).map_err(at)?;
                family.samples.push(sample);
            }
        }
    }
    for (name, family) in &families {
        check_family(name, family, format).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(families)
}

fn metadata(meta: &str) -> Result<(&str, &str, &str), String> {
    let mut parts = meta.splitn(3, ' ');
    let parts = (parts.next(), parts.next(), parts.next());
    let (Some(kind), Some(name), Some(text)) = parts else {
        return Err("incomplete metadata".to_owned());
    };
    if !["HELP", "TYPE", "UNIT"].contains(&kind) {
        return Err(format!("{kind} is not metadata"));
    }
    Ok((kind, name, text))
}

fn add_metadata(family: &mut Family, kind: &str, name: &str, text: &str) -> Result<(), String> {
    if !family.samples.is_empty() {
        return Err("metadata after samples".to_owned());
    }
    let field = match kind {
        "HELP" => {
            unescape(text, false)?;
            &mut family.help
        }
        "TYPE" => {
            if !["counter", "gauge", "histogram", "info"].contains(&text) {
                return Err(format!("{text} is not a type"));
            }
            &mut family.kind
        }
        _ => {
            if !name.ends_with(&format!("_{text}")) {
                return Err("the name does not end with its unit".to_owned());
            }
            family.unit.get_or_insert_default()
        }
    };
    if !field.is_empty() || text.is_empty() {
        return Err(format!("{kind} must appear once and must not be empty"));
    }
    text.clone_into(field);
    Ok(())
}

fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_lowercase())
        && characters.all(|next| next.is_ascii_lowercase() || next.is_ascii_digit() || next == '_')
        && !name.contains("__")
}

/// Replaces the escapes of a text. Quotes are escaped in labels only.
fn unescape(text: &str, is_label: bool) -> Result<String, String> {
    let (mut result, mut characters) = (String::new(), text.chars());
    while let Some(next) = characters.next() {
        result.push(match next {
            '\\' => match characters.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('"') if is_label => '"',
                other => return Err(format!("{other:?} after a backslash")),
            },
            '"' if is_label => return Err("a quote that is not escaped".to_owned()),
            other => other,
        });
    }
    Ok(result)
}

fn sample(line: &str) -> Result<Sample, String> {
    let name_end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").ok_or("a label without a value")?;
            let end = closing_quote(after).ok_or("a label without a closing quote")?;
            let value = unescape(&after[..end], true)?;
            if !is_name(label) && label != "le" {
                return Err(format!("{label:?} is not a label name"));
            }
            if labels.insert(label.to_owned(), value).is_some() {
                return Err(format!("two labels {label}"));
            }
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').ok_or("the labels have no end")?;
    }
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let value = value.parse::<f64>().map_err(|error| format!("{value:?}: {error}"))?;
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// Returns the position of the first quote that is not escaped.
fn closing_quote(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })
}

/// Checks that a sample belongs to a family.
fn check_name(name: &str, family: &Family, sample: &Sample, format: Format) -> Result<(), String> {
    let suffixes: &[&str] = match (&*family.kind, format) {
        ("counter", Format::OpenMetrics) => &["_total"],
        ("info", _) => &["_info"],
        ("histogram", _) => &["_bucket", "_sum", "_count"],
        _ => &[""],
    };
    let suffix = sample.name.strip_prefix(name).ok_or("the sample is of another family")?;
    if suffixes.contains(&suffix) { Ok(()) } else { Err(format!("the suffix {suffix:?}")) }
}

/// Checks the conventions of names, and that the samples of a family are complete.
fn check_family(name: &str, family: &Family, format: Format) -> Result<(), String> {
    if !is_name(name) {
        return Err("the name must consist of lower-case words".to_owned());
    }
    if family.kind.is_empty() || family.help.ends_with('.') || family.help.trim() != family.help {
        return Err(format!("incomplete metadata or an untidy help: {family:?}"));
    }
    let ends_with_total = name.ends_with("_total");
    if ends_with_total != (family.kind == "counter" && format == Format::Prometheus) {
        return Err("only counters, and all of them, end with _total".to_owned());
    }
    let stem = name.strip_suffix("_total").unwrap_or(name);
    let derived = ["milliseconds", "ms", "microseconds", "minutes", "kilobytes", "kib", "percent"];
    if stem.split('_').any(|word| derived.contains(&word)) {
        return Err("the name has a unit that is not a base unit".to_owned());
    }
    let unit = ["seconds", "bytes"].into_iter().find(|unit| stem.ends_with(&format!("_{unit}")));
    if format == Format::OpenMetrics && family.unit.as_deref() != unit {
        return Err(format!("the unit is {:?} and not {unit:?}", family.unit));
    }
    let mut seen = BTreeSet::new();
    for sample in &family.samples {
        if !seen.insert((&sample.name, &sample.labels)) {
            return Err(format!("two samples are equal: {sample:?}"));
        }
        let is_count = sample.value.is_finite() && sample.value >= 0.0;
        if family.kind != "gauge" && !is_count {
            return Err(format!("not a count: {sample:?}"));
        }
    }
    let names: BTreeSet<Vec<&String>> = family
        .samples
        .iter()
        .map(|sample| sample.labels.keys().filter(|label| *label != "le").collect())
        .collect();
    if names.len() > 1 {
        return Err(format!("samples with different labels: {names:?}"));
    }
    if family.kind == "histogram" { check_histograms(name, family) } else { Ok(()) }
}

fn check_histograms(name: &str, family: &Family) -> Result<(), String> {
    let mut histograms: BTreeMap<BTreeMap<String, String>, Vec<&Sample>> = BTreeMap::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        labels.remove("le");
        histograms.entry(labels).or_default().push(sample);
    }
    for (labels, samples) in histograms {
        let value = |suffix: &str| {
            let wanted = format!("{name}_{suffix}");
            let found = samples.iter().find(|sample| sample.name == wanted);
            found.map(|sample| sample.value).ok_or(format!("{labels:?} has no {suffix}"))
        };
        let (sum, count) = (value("sum")?, value("count")?);
        let mut buckets = Vec::new();
        for sample in samples.iter().filter(|sample| sample.name.ends_with("_bucket")) {
            let bound = sample.labels.get("le").ok_or("a bucket without a bound")?;
            buckets.push((bound.parse::<f64>().map_err(|e| e.to_string())?, sample.value));
        }
        let is_ordered = buckets.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1);
        if !is_ordered || buckets.last() != Some(&(f64::INFINITY, count)) {
            return Err(format!("the buckets do not ascend to the count {count}: {buckets:?}"));
        }
        if count == 0.0 && sum != 0.0 {
            return Err(format!("a sum {sum} of nothing"));
        }
    }
    Ok(())
}

#[test]
fn the_parser_reads_escapes_and_rejects_what_readers_would_misread() {
    let head = "# HELP a_total x\n# TYPE a_total counter\n";
    let good = format!("{head}a_total{{b=\"c\\\\\\\"\\n,}}d\"}} 3\n");
    let families = parse(&good, Format::Prometheus).unwrap();
    assert_eq!(families["a_total"].samples[0].labels["b"], "c\\\"\n,}d");
    let histogram =
        "# HELP h_seconds x\n# TYPE h_seconds histogram\nh_seconds_sum 1\nh_seconds_count 2\n";
    let bad = [
        ("a_total 1\n".to_owned(), "no family"),
        (format!("{head}a_total 1"), "no end"),
        (format!("{head}a 1\n"), "another family"),
        (format!("{head}a_total 1\na_total 1\n"), "equal"),
        (format!("{head}a_total -1\n"), "not a count"),
        (format!("{head}a_total one\n"), "invalid float"),
        (format!("{head}a_total{{b=\"c}} 1\n"), "closing quote"),
        (format!("{head}a_total{{b=\"\\c\"}} 1\n"), "after a backslash"),
        (format!("{head}a_total{{b=\"1\"}} 1\na_total{{c=\"1\"}} 1\n"), "different labels"),
        (format!("{head}{head}"), "appear once"),
        ("# HELP a x\n# TYPE a counter\n".to_owned(), "_total"),
        ("# HELP a_total x\n# TYPE a_total gauge\n".to_owned(), "_total"),
        ("# HELP a_ms x\n# TYPE a_ms gauge\n".to_owned(), "base unit"),
        ("# HELP A x\n# TYPE A gauge\n".to_owned(), "lower-case"),
        ("# TYPE a gauge\n".to_owned(), "begin with HELP"),
        ("# HELP a x\n# TYPE a summary\n".to_owned(), "not a type"),
        (format!("{histogram}h_seconds_bucket{{le=\"+Inf\"}} 1\n"), "do not ascend"),
        (
            format!(
                "{histogram}h_seconds_bucket{{le=\"1.0\"}} 3\nh_seconds_bucket{{le=\"+Inf\"}} 2\n"
            ),
            "do not ascend",
        ),
        ("# HELP h x\n# TYPE h histogram\nh_sum 1\n".to_owned(), "no count"),
    ];
    for (text, expected) in bad {
        let error = parse(&text, Format::Prometheus).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(parse("", Format::OpenMetrics).unwrap_err().contains("EOF"));
    let no_unit = "# HELP a_bytes x\n# TYPE a_bytes gauge\n# EOF\n";
    assert!(parse(no_unit, Format::OpenMetrics).unwrap_err().contains("unit"));
}
