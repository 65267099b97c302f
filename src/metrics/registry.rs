//! The sources of metrics, and the samples that they add when the metrics are read.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::format::Format;
use super::histogram::HistogramSample;

/// Adds samples whenever the metrics are read.
///
/// A read happens every few seconds, in the task of the reader, so a source must return within a few milliseconds and
/// must not panic. Each name of a family belongs to one source.
pub trait Source: Send + Sync + 'static {
    /// Adds the current samples.
    fn collect(&self, samples: &mut Samples<'_>);
}

impl<F: Fn(&mut Samples<'_>) + Send + Sync + 'static> Source for F {
    fn collect(&self, samples: &mut Samples<'_>) {
        self(samples);
    }
}

/// The metrics of a process: its sources.
///
/// ```
/// use waywiser::metrics::Metrics;
///
/// let metrics = Metrics::default();
/// metrics.add(|samples: &mut waywiser::metrics::Samples<'_>| {
///     samples.gauge("queue_length", "Waiting requests", |queue| {
///         queue.add(&[("queue", "commits")], 3_u64);
///     });
/// });
/// assert!(metrics.text().contains("queue_length{queue=\"commits\"} 3\n"));
/// ```
#[derive(Debug, Default)]
pub struct Metrics {
    sources: Arc<Sources>,
}

#[derive(Default)]
struct Sources(Mutex<Vec<Arc<dyn Source>>>);

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

impl Collector for Sources {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut samples = Samples { encoder, result: Ok(()) };
        for source in sources {
            source.collect(&mut samples);
        }
        samples.result
    }
}

impl Metrics {
    /// Adds a source.
    pub fn add(&self, source: impl Source) {
        self.add_shared(Arc::new(source));
    }

    /// Adds a source that something else also uses, such as an observer of calls.
    pub fn add_shared(&self, source: Arc<dyn Source>) {
        let mut sources = self.sources.0.lock().unwrap_or_else(PoisonError::into_inner);
        sources.push(source);
    }

    /// Reads all sources. Returns the metrics in the text format of Prometheus, version 0.0.4.
    pub fn text(&self) -> String {
        self.encode(Format::Prometheus)
    }

    /// Reads all sources. Returns the metrics in the text format of OpenMetrics, version 1.0.0.
    pub fn open_metrics(&self) -> String {
        self.encode(Format::OpenMetrics)
    }

    pub(super) fn encode(&self, format: Format) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(&self.sources)));
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = match format {
            Format::Prometheus => prometheus_text::encode(&mut text, &registry),
            Format::OpenMetrics => text::encode(&mut text, &registry),
        };
        text
    }
}

/// Receives the samples of a [`Source`].
///
/// Names follow the conventions of Prometheus: base units at the end, such as `_seconds` or `_bytes`. The names of
/// counters are given without `_total`, and those of information without `_info`.
#[derive(Debug)]
pub struct Samples<'a> {
    encoder: DescriptorEncoder<'a>,
    result: fmt::Result,
}

/// Units that OpenMetrics reports separately, when a name ends with them.
const UNITS: [(&str, Unit); 2] = [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes)];

impl Samples<'_> {
    /// Adds a family of counters, whose values only grow.
    pub fn counter(&mut self, name: &str, help: &str, add: impl FnOnce(&mut Family<'_>)) {
        self.family(name, help, MetricType::Counter, add);
    }

    /// Adds a family of gauges.
    pub fn gauge(&mut self, name: &str, help: &str, add: impl FnOnce(&mut Family<'_>)) {
        self.family(name, help, MetricType::Gauge, add);
    }

    /// Adds a family of histograms.
    pub fn histogram(&mut self, name: &str, help: &str, add: impl FnOnce(&mut Family<'_>)) {
        self.family(name, help, MetricType::Histogram, add);
    }

    /// Adds information as labels, with the value 1.
    pub fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) {
        self.family(name, help, MetricType::Info, |family| {
            let result = family.encoder.encode_info(&labels);
            family.result = family.result.and(result);
        });
    }

    fn family(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        add: impl FnOnce(&mut Family<'_>),
    ) {
        let unit = UNITS.iter().find_map(|(end, unit)| Some((name.strip_suffix(end)?, unit)));
        let (stem, unit) = unit.map_or((name, None), |(stem, unit)| (stem, Some(unit)));
        match self.encoder.encode_descriptor(stem, help, unit, kind) {
            Ok(encoder) => {
                let mut family = Family { encoder, kind, result: Ok(()) };
                add(&mut family);
                self.result = self.result.and(family.result);
            }
            Err(error) => self.result = Err(error),
        }
    }
}

/// Receives the samples of one family.
#[derive(Debug)]
pub struct Family<'a> {
    encoder: MetricEncoder<'a>,
    kind: MetricType,
    result: fmt::Result,
}

impl Family<'_> {
    /// Adds a sample of a counter or a gauge. Samples differ in their labels.
    pub fn add(&mut self, labels: &[(&str, &str)], value: impl Into<Number>) {
        let (value, kind) = (value.into(), self.kind);
        self.encode(labels, |mut encoder| match (kind, value) {
            (MetricType::Counter, Number::Whole(value)) => ConstCounter::new(value).encode(encoder),
            (MetricType::Counter, Number::Real(value)) => ConstCounter::new(value).encode(encoder),
            (MetricType::Gauge, Number::Whole(value)) => encoder.encode_gauge(&value),
            (MetricType::Gauge, Number::Real(value)) => ConstGauge::new(value).encode(encoder),
            // A histogram has no single value.
            _ => Ok(()),
        });
    }

    /// Adds a sample of a histogram. Samples differ in their labels.
    pub fn add_histogram(&mut self, labels: &[(&str, &str)], sample: &HistogramSample) {
        if self.kind == MetricType::Histogram {
            let HistogramSample { buckets, sum } = sample;
            let count = buckets.iter().map(|(_, count)| count).sum();
            self.encode(labels, |mut encoder| {
                encoder.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
            });
        }
    }

    fn encode(
        &mut self,
        labels: &[(&str, &str)],
        encode: impl FnOnce(MetricEncoder<'_>) -> fmt::Result,
    ) {
        let result = self.encoder.encode_family(&labels).and_then(encode);
        self.result = self.result.and(result);
    }
}

/// The value of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A count.
    Whole(u64),
    /// A real number.
    Real(f64),
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}
