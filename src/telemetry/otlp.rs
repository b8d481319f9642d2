//! Spans to a collector, as OTLP over HTTP, as the standard's variables say. Only with the feature `otlp`.

use super::spans::TARGET;
use crate::job::Trace;
use opentelemetry::{
    Context, Key,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _},
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Handle;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

/// How long one export may take; `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise, in milliseconds.
const EXPORT: Duration = Duration::from_secs(10);
/// How long the last spans may take at the end of the process.
const LAST: Duration = Duration::from_secs(5);
/// Bytes of a collector's answer at most: it is a few numbers.
const ANSWER_BYTES: usize = 1 << 20;

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Hears the spans of calls and exports them.
pub(super) fn layer<S>() -> Result<Box<dyn Layer<S> + Send + Sync>, String>
where
    S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
{
    let client = Client::new()?;
    let exporter = SpanExporter::builder().with_http().with_http_client(client).build();
    // Not the error's own words: they may quote an address with a password, or a header.
    let exporter = exporter.map_err(|_| "the OTEL_EXPORTER_OTLP_* variables make no exporter".to_owned())?;
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build();
    let tracer = provider.tracer("tagmill");
    if PROVIDER.set(provider).is_err() {
        return Err("spans are exported already".into());
    }
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    // Which line of our code and which thread it was says nothing of a call.
    let layer = layer.with_location(false).with_threads(false).with_target(false).with_tracked_inactivity(false);
    Ok(layer.with_filter(filter_fn(|found| found.is_span() && found.target() == TARGET)).boxed())
}

/// Who we are: as the environment says, else `tagmill`.
fn resource() -> Resource {
    let found = Resource::builder().build();
    let name = found.get(&Key::from_static_str("service.name")).map(|name| name.to_string());
    let named = name.is_some_and(|name| !name.is_empty() && !name.starts_with("unknown_service"));
    if named { found } else { Resource::builder().with_service_name("tagmill").build() }
}

/// Puts a span into the trace of its job. Where there are several jobs it belongs to none of them, and has links.
pub(super) fn join(span: &Span, jobs: usize, traces: &[Trace]) {
    match traces {
        [trace] if jobs == 1 => {
            if let Some(context) = context(trace) {
                // It fails where nobody exports.
                let _ = span.set_parent(Context::new().with_remote_span_context(context));
            }
        }
        traces => traces.iter().filter_map(context).for_each(|context| span.add_link(context)),
    }
}

fn context(trace: &Trace) -> Option<SpanContext> {
    let flags = if trace.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let state = trace.state().and_then(|state| state.parse::<TraceState>().ok()).unwrap_or_default();
    let (id, span) = (TraceId::from_hex(trace.trace_id()).ok()?, SpanId::from_hex(trace.span_id()).ok()?);
    Some(SpanContext::new(id, span, flags, true, state))
}

/// Exports what is left and waits for it, for a while. The last thing a process does while its runtime still runs.
pub(super) fn flush() {
    if let Some(provider) = PROVIDER.get() {
        // What could not be exported was told when it failed.
        let _ = provider.shutdown_with_timeout(LAST);
    }
}

/// The exporter works on a thread of its own, and the client on the runtime.
#[derive(Clone, Debug)]
struct Client {
    http: reqwest::Client,
    runtime: Handle,
    failing: Arc<AtomicBool>,
}

impl Client {
    fn new() -> Result<Self, String> {
        let wanted = std::env::var("OTEL_EXPORTER_OTLP_TIMEOUT").ok().and_then(|text| text.trim().parse().ok());
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(wanted.map_or(EXPORT, Duration::from_millis))
            .build()
            .map_err(|error| error.to_string())?;
        let runtime = Handle::try_current().map_err(|error| error.to_string())?;
        Ok(Self { http, runtime, failing: Arc::default() })
    }

    async fn send(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let url = head.uri.to_string();
        let sent = self.http.request(head.method, url).headers(head.headers).body(body).send().await;
        let mut answer = match sent {
            Ok(answer) => answer,
            Err(error) => {
                self.failed(&error.without_url().to_string());
                return Err("the collector cannot be reached".into());
            }
        };
        let status = answer.status();
        if status.is_success() {
            if self.failing.swap(false, Ordering::Relaxed) {
                tracing::info!("spans are exported again");
            }
        } else {
            self.failed(&format!("the collector answers {}", status.as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if bytes.len() + chunk.len() > ANSWER_BYTES {
                return Err("the collector's answer is too long".into());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Response::builder().status(status).body(bytes.into())?)
    }

    /// Told once, until it works again.
    fn failed(&self, why: &str) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(why, "spans cannot be exported, and are dropped until that works again");
        }
    }
}

impl HttpClient for Client {
    // What `async_trait` makes of an async function.
    fn send_bytes<'c, 'f>(
        &'c self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        'c: 'f,
        Self: 'f,
    {
        let sending = self.runtime.spawn(self.clone().send(request));
        Box::pin(async move { sending.await? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_the_one_that_came() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let found = context(&Trace::read(parent, Some("a=1,b=2")).unwrap()).unwrap();
        assert_eq!(found.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(found.span_id().to_string(), "00f067aa0ba902b7");
        assert!(found.is_remote() && found.is_sampled());
        assert_eq!(found.trace_state().header(), "a=1,b=2");
        let unsampled = context(&Trace::read(&parent.replace("-01", "-00"), None).unwrap()).unwrap();
        assert!(!unsampled.is_sampled());
    }
}
