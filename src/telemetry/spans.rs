//! A span for each call to a provider: its names, what it says of a call, and the jobs that it carries.

use crate::{
    call::{Answer, Call, Fate},
    job::{LaneName, Trace},
};
use tracing::{Level, Span, field::Empty};

/// The target of these spans, and of nothing else.
pub const TARGET: &str = "tagmill::call";

/// Names of attributes: OpenTelemetry's semantic conventions where they have one, else `tagmill.*`.
pub mod name {
    /// What kind of broker the jobs came from.
    pub const MESSAGING_SYSTEM: &str = "messaging.system";
    /// Always `process`.
    pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
    /// How many jobs the call carries.
    pub const MESSAGING_BATCH_MESSAGE_COUNT: &str = "messaging.batch.message_count";
    /// The method of the request.
    pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
    /// The status of the answer.
    pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
    /// The host that was asked.
    pub const SERVER_ADDRESS: &str = "server.address";
    /// Its port, where the endpoint names one.
    pub const SERVER_PORT: &str = "server.port";
    /// The code of the failure of the whole call.
    pub const ERROR_TYPE: &str = "error.type";
    /// The lane.
    pub const LANE: &str = "tagmill.lane";
    /// The tagging API.
    pub const PROVIDER: &str = "tagmill.provider";
    /// Resources in the call.
    pub const RESOURCES: &str = "tagmill.resources";
    /// Keys that are set or removed.
    pub const KEYS: &str = "tagmill.keys";
    /// What became of it.
    pub const RESULT: &str = "tagmill.result";
    /// Resources that failed, where the call as a whole did not.
    pub const FAILED: &str = "tagmill.failed";
    /// The provider's id of the request, where it failed.
    pub const REQUEST_ID: &str = "tagmill.request_id";
}

/// All attributes of a span, and what they say.
pub const TABLE: &[(&str, &str)] = &[
    (name::MESSAGING_SYSTEM, "`rabbitmq`, or `tagmill` for the embedded queue"),
    (name::MESSAGING_OPERATION_TYPE, "`process`"),
    (name::MESSAGING_BATCH_MESSAGE_COUNT, "jobs in the call"),
    (name::HTTP_REQUEST_METHOD, "the request's method"),
    (name::HTTP_RESPONSE_STATUS_CODE, "the answer's status, where one came"),
    (name::SERVER_ADDRESS, "the host that was asked"),
    (name::SERVER_PORT, "its port, where the endpoint names one"),
    (name::ERROR_TYPE, "the code of the failure, where the whole call failed"),
    (name::LANE, "the lane"),
    (name::PROVIDER, "the tagging API"),
    (name::RESOURCES, "resources in the call"),
    (name::KEYS, "tag keys that are set or removed"),
    (name::RESULT, "`ok`, `partial`, `followup`, `throttled`, `transient`, `auth`, `denied`, `rejected`"),
    (name::FAILED, "resources that failed, where the call as a whole did not"),
    (name::REQUEST_ID, "the cloud's id of the request, where something failed"),
];

/// A call that is about to leave.
#[derive(Debug)]
pub struct Leaving<'a> {
    /// The lane.
    pub lane: &'a LaneName,
    /// The tagging API.
    pub provider: &'a str,
    /// The kind of broker.
    pub broker: &'static str,
    /// The call.
    pub call: &'a Call,
    /// The jobs it carries.
    pub jobs: usize,
    /// Their traces, each once.
    pub traces: &'a [Trace],
}

/// Whether anybody hears spans: what they say need not be found out else.
pub fn wanted() -> bool {
    tracing::span_enabled!(target: TARGET, Level::INFO)
}

/// The span of a call. It ends when it is dropped.
pub fn leaving(leaving: &Leaving<'_>) -> Span {
    let Leaving { lane, provider, broker, call, jobs, traces } = leaving;
    let span = tracing::info_span!(
        target: TARGET, "call",
        otel.name = format_args!("call {provider}"), otel.kind = "client", otel.status_code = Empty,
        { name::MESSAGING_SYSTEM } = broker, { name::MESSAGING_OPERATION_TYPE } = "process",
        { name::MESSAGING_BATCH_MESSAGE_COUNT } = count(*jobs),
        { name::HTTP_REQUEST_METHOD } = Empty, { name::HTTP_RESPONSE_STATUS_CODE } = Empty,
        { name::SERVER_ADDRESS } = Empty, { name::SERVER_PORT } = Empty, { name::ERROR_TYPE } = Empty,
        { name::LANE } = lane.as_str(), { name::PROVIDER } = provider,
        { name::RESOURCES } = count(call.resources.len()),
        { name::KEYS } = count(call.tags.len() + call.also_unset.len()),
        { name::RESULT } = Empty, { name::FAILED } = Empty, { name::REQUEST_ID } = Empty,
    );
    super::join(&span, *jobs, traces);
    span
}

/// Where it goes. The rest of a URL can hold tag values and signatures.
pub fn goes(span: &Span, method: &str, url: &str) {
    if span.is_disabled() {
        return;
    }
    let (host, port) = server(url);
    span.record(name::HTTP_REQUEST_METHOD, method).record(name::SERVER_ADDRESS, host);
    if let Some(port) = port {
        span.record(name::SERVER_PORT, i64::from(port));
    }
}

/// What came back: a status, where anything did, and what it means.
pub fn came(span: &Span, status: Option<u16>, result: &str, answer: &Answer) {
    if span.is_disabled() {
        return;
    }
    if let Some(status) = status {
        span.record(name::HTTP_RESPONSE_STATUS_CODE, i64::from(status));
    }
    span.record(name::RESULT, result);
    let request = match answer {
        Answer::FollowUp(_) => None,
        Answer::Failure(failure) => {
            span.record(name::ERROR_TYPE, &*failure.code).record("otel.status_code", "ERROR");
            failure.request_id.as_deref()
        }
        Answer::Finished(fates) => {
            let failed = || fates.iter().filter_map(|fate| if let Fate::Failed(why) = fate { Some(why) } else { None });
            span.record(name::FAILED, count(failed().count()));
            failed().find_map(|failure| failure.request_id.as_deref())
        }
    };
    if let Some(request) = request {
        span.record(name::REQUEST_ID, request);
    }
}

/// Attributes have signed numbers.
fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn server(url: &str) -> (&str, Option<u16>) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (place, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{call::Op, job::Resource};
    use std::{
        collections::BTreeMap,
        sync::{Arc, Mutex},
    };
    use tracing::field::{Field, Visit};
    use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _};

    #[test]
    fn of_a_url_the_host_and_the_port_are_told_and_nothing_else() {
        assert_eq!(server("https://tms.example.com/v1/resource-tags?secret=1"), ("tms.example.com", None));
        assert_eq!(server("http://127.0.0.1:8080?a=b"), ("127.0.0.1", Some(8080)));
        assert_eq!(server("https://[::1]:443/"), ("[::1]", Some(443)));
        assert_eq!(server("https://[::1]/"), ("[::1]", None));
        assert_eq!(server("https://user:secret@host/"), ("host", None));
    }

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<BTreeMap<String, String>>>);

    impl Visit for Heard {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            self.0.lock().unwrap().insert(field.name().to_owned(), format!("{value:?}"));
        }
    }

    impl<S: tracing::Subscriber> Layer<S> for Heard {
        fn on_new_span(&self, attributes: &tracing::span::Attributes<'_>, _: &tracing::Id, _: Context<'_, S>) {
            attributes.record(&mut self.clone());
        }

        fn on_record(&self, _: &tracing::Id, values: &tracing::span::Record<'_>, _: Context<'_, S>) {
            values.record(&mut self.clone());
        }
    }

    #[test]
    fn a_span_says_what_the_table_names_and_no_value() {
        let heard = Heard::default();
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(heard.clone()));
        assert!(wanted());
        let call = Call {
            op: Op::Set,
            resources: vec![Resource::plain("r-1"), Resource::plain("r-2")],
            tags: vec![("owner".into(), "PLANTED".into())],
            also_unset: vec!["old".into()],
            only_missing: Vec::new(),
        };
        let lane = LaneName::new("prod").unwrap();
        let leave =
            Leaving { lane: &lane, provider: "aws-tagging", broker: "rabbitmq", call: &call, jobs: 3, traces: &[] };
        let span = leaving(&leave);
        goes(&span, "POST", "https://tagging.example.com:8443/?PLANTED");
        let mut failure = crate::call::Failure::new(
            crate::call::Kind::Throttled,
            crate::call::Blame::Request,
            "ThrottlingException",
            "PLANTED",
        );
        failure.request_id = Some("req-1".into());
        came(&span, Some(400), "throttled", &Answer::Failure(failure.clone()));
        came(&span, Some(200), "partial", &Answer::Finished(vec![Fate::Tagged, Fate::Failed(failure)]));
        let heard = heard.0.lock().unwrap();
        for (name, _) in TABLE {
            assert!(heard.contains_key(*name), "{name}: {heard:?}");
        }
        let others: Vec<_> = heard.keys().filter(|name| TABLE.iter().all(|(known, _)| known != *name)).collect();
        assert_eq!(others, ["otel.kind", "otel.name", "otel.status_code"]);
        assert_eq!((&*heard[name::KEYS], &*heard[name::RESOURCES], &*heard[name::FAILED]), ("2", "2", "1"));
        assert_eq!((&*heard[name::SERVER_PORT], &*heard[name::REQUEST_ID]), ("8443", "\"req-1\""));
        assert!(!format!("{heard:?}").contains("PLANTED"));
    }
}
