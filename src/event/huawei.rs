//! Huawei Cloud: traces of CTS, as CloudEvents or in the wrapper `{"cts": ...}` of a function trigger.

use super::{
    Event, Ignored, Source,
    envelope::{Envelope, Facts, at, event, json, time},
};
use serde_json::Value;

/// Reads a trace. What was sent and answered stands in it as JSON inside of text; it is unpacked.
pub(super) fn read(envelope: &Envelope, mut value: Value) -> Result<Event, String> {
    let mut record = match value.get_mut("cts") {
        Some(trace) => trace.take(),
        None => value,
    };
    if at(&record, &["trace_name"]).is_none() {
        return Err("it is no trace of CTS: `trace_name` is missing".into());
    }
    for field in ["request", "response"] {
        if let Some(packed) = record.get_mut(field)
            && let Some(text) = packed.as_str()
            && let Ok(json @ (Value::Object(_) | Value::Array(_))) = json(text.as_bytes())
        {
            *packed = json;
        }
    }
    let facts = Facts {
        id: at(&record, &["trace_id"]).or_else(|| envelope.id.clone()),
        source: envelope.source.clone(),
        service: at(&record, &["service_type"]),
        name: at(&record, &["trace_name"]),
        time: record.get("time").and_then(time).or(envelope.time),
        account: at(&record, &["domain_id"]).or_else(|| at(&record, &["user", "domain", "id"])),
        region: at(&record, &["region"]).or_else(|| envelope.more("region")),
        project: at(&record, &["project_id"]),
        creator: at(&record, &["user", "name"]),
        ignored: ignored(&record),
    };
    event(Source::Huawei, facts, record)
}

fn ignored(record: &Value) -> Option<Ignored> {
    let rating = at(record, &["trace_rating"]);
    let code = at(record, &["code"]).and_then(|code| code.parse::<u32>().ok());
    if rating.is_some_and(|rating| rating != "normal") || code.is_some_and(|code| code >= 400) {
        Some(Ignored::Failed)
    } else if at(record, &["trace_type"]).as_deref() == Some("SystemAction") {
        Some(Ignored::Internal)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_inside_of_text_is_unpacked_and_other_text_is_left() {
        let trace = json!({"cts":{"trace_name":"createServer","response":"{\"serverIds\":[\"a\"]}","request":"{bad"}});
        let event = read(&Envelope::default(), trace).unwrap();
        assert_eq!(event.record["response"]["serverIds"][0], "a");
        assert_eq!(event.record["request"], "{bad");
    }

    #[test]
    fn what_failed_and_what_the_system_did_is_ignored() {
        let why = |more: Value| {
            let mut trace = json!({"trace_name":"createServer","trace_rating":"normal","code":"200"});
            trace.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            read(&Envelope::default(), trace).unwrap().ignored
        };
        assert_eq!(why(json!({})), None);
        assert_eq!(why(json!({"trace_rating":"warning"})), Some(Ignored::Failed));
        assert_eq!(why(json!({"code":"403"})), Some(Ignored::Failed));
        assert_eq!(why(json!({"code":500})), Some(Ignored::Failed));
        assert_eq!(why(json!({"trace_type":"SystemAction"})), Some(Ignored::Internal));
    }
}
