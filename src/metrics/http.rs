//! The metrics of the HTTP listener.

use super::registry::{Samples, Source};
use crate::server::Monitor;

/// Returns the metrics of the HTTP listener of a server.
pub fn http(monitor: Monitor) -> impl Source {
    move |samples: &mut Samples<'_>| {
        let stats = monitor.web_stats();
        let help = "Requests to the HTTP listener that were answered, by route and status";
        samples.counter("waywiser_http_requests", help, |family| {
            for request in &stats.requests {
                let status = request.status.to_string();
                family.add(&[("route", request.route), ("status", &status)], request.count);
            }
        });
        let help = "Requests to the HTTP listener whose answers are not complete";
        samples.gauge("waywiser_http_requests_open", help, |family| {
            family.add(&[], stats.open);
        });
        let help = "Streams of Server-Sent Events that are open";
        samples.gauge("waywiser_http_event_streams", help, |family| {
            family.add(&[], stats.event_streams);
        });
        let help = "Bytes of request bodies that the HTTP listener has received";
        samples.counter("waywiser_http_received_bytes", help, |family| {
            family.add(&[], stats.received_bytes);
        });
        let help = "Bytes of answers that the HTTP listener has sent, without headers";
        samples.counter("waywiser_http_sent_bytes", help, |family| {
            family.add(&[], stats.sent_bytes);
        });
    }
}
