//! The alerts and the dashboard in `deploy/`, checked against the metrics of a running server and the documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tonic::Code;

use super::exposition::{Families, Format, parse};
use super::promql::{Selector, selectors, values};
use super::{Observed, ask};
use crate::support::{methods, reserved_address};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Labels that Prometheus adds.
const ADDED: [&str; 2] = ["job", "instance"];

/// The labels of each metric that a server has, and their values.
struct Known(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Known {
    fn of(families: &Families) -> Self {
        let mut known = BTreeMap::from([("up".to_owned(), BTreeMap::new())]);
        for (name, family) in families {
            // A histogram without samples has these metrics as soon as there is one.
            if family.kind == "histogram" {
                for suffix in ["_sum", "_count", "_bucket"] {
                    known.entry(format!("{name}{suffix}")).or_default();
                }
            }
            for sample in &family.samples {
                let labels: &mut BTreeMap<String, BTreeSet<String>> =
                    known.entry(sample.name.clone()).or_default();
                for (label, value) in &sample.labels {
                    labels.entry(label.clone()).or_default().insert(value.clone());
                }
            }
        }
        Self(known)
    }

    fn check(&self, selector: &Selector) -> Result<(), String> {
        let metric = &selector.metric;
        let labels = self.0.get(metric).ok_or(format!("there is no metric {metric}"))?;
        let unknown = |label: &&String| !labels.contains_key(*label) && !ADDED.contains(&&***label);
        if let Some(label) = selector.labels.iter().find(unknown) {
            return Err(format!("{metric} has no label {label}"));
        }
        for (label, operator, text) in &selector.matchers {
            if ADDED.contains(&&**label) {
                continue;
            }
            for value in values(operator, text) {
                if !labels[label].contains(value) && !can_occur(label, value) {
                    return Err(format!("the label {label} of {metric} is never {value:?}"));
                }
            }
        }
        Ok(())
    }
}

/// Returns whether a label that gets its values from calls can have this value.
fn can_occur(label: &str, value: &str) -> bool {
    match label {
        "grpc_status" => (0..17).any(|code| status_name(Code::from(code)) == value),
        "grpc_method" => methods::all().iter().any(|path| path.rsplit('/').next() == Some(value)),
        // The reasons of errors. A test compares this document with the code.
        "reason" => {
            let contracts = fs::read_to_string(root().join("docs/contracts.md")).unwrap();
            contracts.contains(&format!("`{value}`"))
        }
        _ => false,
    }
}

/// Returns the name of a status code in the specification of gRPC.
fn status_name(code: Code) -> String {
    let mut name = String::new();
    for (i, letter) in format!("{code:?}").chars().enumerate() {
        if letter.is_uppercase() && i > 0 {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_with_an_unknown_metric_label_or_value_is_an_error() {
    let known = known().await;
    for (expression, error) in [
        ("waywiser_calls", "there is no metric waywiser_calls"),
        ("waywiser_store_up{a=\"b\"}", "waywiser_store_up has no label a"),
        (
            "waywiser_store_failures_total{reason=~\"full|fill\"}",
            "the label reason of waywiser_store_failures_total is never \"fill\"",
        ),
        (
            "waywiser_call_errors_total{grpc_status!=\"UNKNOWM\"}",
            "the label grpc_status of waywiser_call_errors_total is never \"UNKNOWM\"",
        ),
        (
            "waywiser_call_errors_total{reason=\"POINT_RAT\"}",
            "the label reason of waywiser_call_errors_total is never \"POINT_RAT\"",
        ),
        (
            "grpc_server_call_duration_seconds_count{grpc_method=~\".*/(RecordPath|Record)\"}",
            "the label grpc_method of grpc_server_call_duration_seconds_count is never \"Record\"",
        ),
    ] {
        let selectors = selectors(expression).unwrap();
        assert_eq!(known.check(&selectors[0]), Err(error.to_owned()));
    }
}

/// Returns the metrics of a server with a store on disk, after calls of several kinds, those of a server with TLS and
/// tokens, those of a server with a database that cannot be reached, and those of a server with an HTTP listener.
async fn known() -> Known {
    let directory = tempfile::tempdir().unwrap();
    let tls = Observed::with_security(directory.path());
    let mut others = parse(&tls.metrics(), Format::Prometheus).unwrap();
    let (_reserved, database) = reserved_address();
    let database = Observed::without_database(database);
    for (name, family) in parse(&database.metrics(), Format::Prometheus).unwrap() {
        if name.starts_with("waywiser_database_") {
            others.insert(name, family);
        }
    }
    let (_reserved, http) = reserved_address();
    let web = Observed::with(&["--ephemeral", "--http", &http.to_string()]);
    assert_eq!(ask(http, "GET /api/paths HTTP/1.1\r\nHost: localhost\r\n").status, 200);
    for (name, family) in parse(&web.metrics(), Format::Prometheus).unwrap() {
        if name.starts_with("waywiser_http_") || name.starts_with("waywiser_ingest_") {
            others.insert(name, family);
        }
    }
    let server = Observed::on_disk(&directory.path().join("data"));
    server.use_services().await;
    loop {
        let mut families = parse(&server.metrics(), Format::Prometheus).unwrap();
        let ended = families.get("waywiser_call_errors_total").map(|family| family.samples.len());
        if ended >= Some(1) {
            for (name, family) in others {
                match families.get_mut(&name) {
                    // A family may have samples on one of the servers only.
                    Some(known) => known.samples.extend(family.samples),
                    None => _ = families.insert(name, family),
                }
            }
            return Known::of(&families);
        }
        tokio::task::yield_now().await;
    }
}

/// One alert: its fields by the path of their keys, such as `labels.severity`.
type Alert = BTreeMap<String, String>;

/// Reads the alerts. The file uses a small part of YAML: nested keys, texts in quotes or plain, and blocks after `|`.
fn alerts() -> Vec<Alert> {
    let text = fs::read_to_string(root().join("deploy/prometheus/alerts.yaml")).unwrap();
    let (mut alerts, mut keys): (Vec<Alert>, Vec<(usize, String)>) = (Vec::new(), Vec::new());
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with('#')).peekable();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let content = line.trim();
        let (content, indent) = match content.strip_prefix("- ") {
            Some(content) => (content, indent + 2),
            None => (content, indent),
        };
        let (key, value) = content.split_once(':').unwrap_or_else(|| panic!("no key in {line}"));
        keys.retain(|(depth, _)| *depth < indent);
        keys.push((indent, key.to_owned()));
        let mut value = value.trim().trim_matches('"').to_owned();
        if value == "|" {
            value.clear();
            while let Some(block) = lines.next_if(|next| next.starts_with(&" ".repeat(indent + 1)))
            {
                value.push_str(block.trim());
                value.push(' ');
            }
        }
        if key == "alert" {
            alerts.push(Alert::new());
        }
        if let (Some(alert), false) = (alerts.last_mut(), value.is_empty()) {
            let path: Vec<&str> = keys.iter().map(|(_, key)| key.as_str()).collect();
            let path = path.join(".").replace("groups.rules.", "");
            assert!(alert.insert(path, value).is_none(), "{line} appears twice");
        }
    }
    alerts
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_names_metrics_that_exist_and_a_section_of_the_documentation() {
    let known = known().await;
    let operations = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let headings: Vec<_> =
        operations.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let alerts = alerts();
    assert!(alerts.len() >= 15, "{}", alerts.len());
    let mut names = BTreeSet::new();
    for alert in &alerts {
        let field =
            |key: &str| alert.get(key).unwrap_or_else(|| panic!("no {key} in {alert:?}")).as_str();
        let name = field("alert");
        assert!(names.insert(name), "two alerts {name}");
        let found = selectors(field("expr")).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!found.is_empty(), "{name} names no metric");
        for selector in &found {
            known.check(selector).unwrap_or_else(|error| panic!("{name}: {error}"));
            let job = ("job".to_owned(), "=".to_owned(), "waywiser".to_owned());
            assert!(selector.matchers.contains(&job), "{name} is not restricted to the job");
        }
        let time = field("for");
        assert!(
            time.ends_with(['m', 'h']) && time[..time.len() - 1].parse::<u32>().is_ok(),
            "{name}: {time}"
        );
        assert!(["critical", "warning", "info"].contains(&field("labels.severity")), "{name}");
        for text in ["annotations.summary", "annotations.description"] {
            assert!(field(text).len() > 20, "{name}: {text}");
        }
        let (page, anchor) = field("annotations.runbook_url").split_once('#').unwrap();
        assert!(page.ends_with("/docs/operations.md"), "{name}: {page}");
        assert_eq!(anchor, name.to_lowercase());
        assert!(headings.contains(&name), "docs/operations.md has no section {name}");
    }
    let documented: BTreeSet<_> =
        headings.into_iter().filter(|heading| heading.starts_with("Waywiser")).collect();
    assert_eq!(documented, names, "docs/operations.md describes the alerts that exist");
}

/// Returns the expressions of a dashboard with its variables replaced.
fn expressions(dashboard: &serde_json::Value, found: &mut Vec<String>) {
    match dashboard {
        serde_json::Value::Object(fields) => {
            if let Some(expression) = fields.get("expr").and_then(serde_json::Value::as_str) {
                found.push(expression.replace("$__rate_interval", "5m"));
            }
            fields.values().for_each(|value| expressions(value, found));
        }
        serde_json::Value::Array(values) => {
            values.iter().for_each(|value| expressions(value, found));
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_shows_metrics_that_exist_and_each_metric_is_shown_or_listed() {
    let known = known().await;
    let text = fs::read_to_string(root().join("deploy/grafana/waywiser.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    assert!(found.len() > 30, "{}", found.len());
    let mut shown = BTreeSet::new();
    for expression in &found {
        let selectors =
            selectors(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        for selector in selectors {
            known.check(&selector).unwrap_or_else(|error| panic!("{expression}: {error}"));
            shown.insert(selector.metric);
        }
    }
    let is_shown = |name: &&String| {
        let stem =
            ["_sum", "_count", "_bucket"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let stem = stem.unwrap_or(name);
        shown.iter().any(|shown| {
            shown == *name || shown.strip_prefix(stem).is_some_and(|rest| rest.starts_with('_'))
        })
    };
    let not_shown: Vec<_> = known.0.keys().filter(|name| !is_shown(name)).collect();
    // These are for alerts and for other dashboards.
    let expected = [
        "process_start_time_seconds",
        "process_threads",
        "process_virtual_memory_bytes",
        "up",
        "waywiser_build_info",
    ];
    assert_eq!(not_shown, expected);
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an ID of its own");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert!(panel["title"].as_str().is_some_and(|title| !title.is_empty()), "{panel}");
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{panel}");
        let place = &panel["gridPos"];
        let end = place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap();
        assert!(end <= 24, "{panel}");
    }
}

/// The columns of the view that docs/postgres.md describes.
fn view_columns() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("docs/postgres.md")).unwrap();
    let (_, section) = text.split_once("\n### The view\n").unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let cells =
        rows.take_while(|line| line.starts_with('|')).filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// `tests/cluster/run` runs the queries in a database.
#[test]
fn the_dashboard_of_recordings_queries_columns_that_are_documented() {
    let columns = view_columns();
    assert!(columns.contains("length_m") && columns.len() > 8, "{columns:?}");
    let text = fs::read_to_string(root().join("deploy/grafana/recordings.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an ID of its own");
    let (mut used, mut end) = (BTreeSet::new(), 0);
    for panel in panels {
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{panel}");
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{panel}");
        assert!(place["y"].as_u64().unwrap() >= end, "the panels are in their order");
        end = place["y"].as_u64().unwrap();
        let sql = panel["targets"][0]["rawSql"].as_str().unwrap();
        assert!(sql.contains("FROM waywiser_paths WHERE"), "{sql}");
        let words = sql.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '$'));
        used.extend(words.filter(|word| columns.contains(*word)).map(str::to_owned));
        let suffixes = ["_m", "_s", "_time"];
        let words = sql.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '$'));
        for word in words.filter(|word| suffixes.iter().any(|suffix| word.ends_with(suffix))) {
            assert!(columns.contains(word), "{word} is not a documented column: {sql}");
        }
    }
    assert_eq!(used, columns, "the dashboard shows every column");
}

#[test]
fn the_scrape_configuration_names_the_job_and_the_file_of_the_alerts() {
    let text = fs::read_to_string(root().join("deploy/prometheus/prometheus.yaml")).unwrap();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    assert!(lines.contains(&"- job_name: waywiser") && lines.contains(&"- alerts.yaml"), "{text}");
    assert!(root().join("deploy/prometheus/alerts.yaml").exists());
}
