//! What a reply says, and what comes next: write, read again, go elsewhere, or done.

use super::{
    Buckets, bucket_of,
    classify::{self, Elsewhere},
    encode::{removed, set_by, written_by},
    memory::{Change, Unreported},
    set::{self, TagSet},
    step::{Stage, Step},
};
use crate::call::request_id as fit;
use crate::provider::{
    Answer, Blame, Call, Failure, Fate, HttpReply, Kind, Memo, Missing,
    aws::{classify::request_id, place::partition, rules},
    classify::truncated,
    endpoint::check_region,
};

impl Buckets {
    /// The meaning of a reply to the step that the memo asked for.
    pub(super) fn answer(&self, call: &Call, memo: Option<&Memo>, reply: &HttpReply) -> Answer {
        let Some(step) = Step::of(memo) else { return Answer::Failure(truncated(reply, request_id(reply))) };
        match &step.stage {
            Stage::Read => match self.tags(call, &step, reply) {
                Ok(set) => self.merge(call, &step, &set),
                Err(answer) => *answer,
            },
            Stage::Verify => match self.tags(call, &step, reply) {
                Ok(set) => self.verified(call, &step, &set),
                Err(answer) => *answer,
            },
            Stage::Locate => self.located(call, &step, reply),
            Stage::Write(_) => self.written(call, &step, reply),
            Stage::ControlTag | Stage::ControlUntag => self.controlled(call, &step, reply),
        }
    }

    /// The bucket's tags, where the reply has them.
    fn tags(&self, call: &Call, step: &Step, reply: &HttpReply) -> Result<TagSet, Box<Answer>> {
        if reply.status == 200 {
            let truncated = || Box::new(Answer::Failure(truncated(reply, request_id(reply))));
            return set::read(&reply.body).ok_or_else(truncated);
        }
        if classify::has_no_tags(reply) {
            return Ok(TagSet::new());
        }
        if let Some(elsewhere) = classify::elsewhere(reply) {
            return Err(Box::new(self.go_elsewhere(call, step, reply, elsewhere)));
        }
        Err(Box::new(failed(call, reply)))
    }

    /// The read is in: is there anything to write, and may it be written?
    fn merge(&self, call: &Call, step: &Step, before: &TagSet) -> Answer {
        let bucket = bucket_of(call);
        if !self.memory.is_shown(bucket, before) {
            return Answer::Failure(stale());
        }
        let unreported = self.memory.unreported(bucket);
        // A value that is ours after a write without an answer was written by us, as far as anybody can tell.
        let is_kept = |key: &str, value: &str| {
            let held = before.get(key).filter(|held| unreported == Unreported::Nothing || *held != value);
            held.is_some() && call.only_missing.iter().any(|only| **only == *key)
        };
        let kept = set_by(call).filter(|(key, value)| is_kept(key, value)).map(|(key, _)| key.to_owned()).collect();
        let step = &Step { kept, ..step.clone() };
        let mut after = before.clone();
        after.extend(written_by(call, step).map(|(key, value)| (key.to_owned(), value.to_owned())));
        for key in removed(call) {
            after.remove(key);
        }
        if after == *before {
            // Nothing to do; after a write whose reply was lost, or that was not to be seen at first, we did it.
            self.memory.holds(bucket, changes(call, step), true);
            if unreported == Unreported::Nothing {
                return Answer::Finished(vec![Fate::Unchanged; call.resources.len()]);
            }
            return done(call, step);
        }
        if unreported == Unreported::Written {
            // Everything we wrote should be seen by now, and is not: somebody else writes this bucket too.
            self.memory.gives_up(bucket);
            return Answer::Failure(not_kept());
        }
        if set::size(&after) > rules::TAGS_PER_RESOURCE.max(set::size(before)) {
            return Answer::Failure(full(set::size(before), set::size(&after)));
        }
        if self.memory.is_controlled(bucket) && self.account().is_some() {
            return follow(&step.at(first_control(call, step)));
        }
        follow(&step.at(Stage::Write(after)))
    }

    fn written(&self, call: &Call, step: &Step, reply: &HttpReply) -> Answer {
        if reply.is_success() {
            if !is_empty(reply) {
                return Answer::Failure(truncated(reply, request_id(reply)));
            }
            self.memory.holds(bucket_of(call), changes(call, step), !self.verify);
            return if self.verify { follow(&step.at(Stage::Verify)) } else { done(call, step) };
        }
        if reply.status < 500 {
            // Refused for certain; after a 5xx the write may have been carried out.
            self.memory.gives_up(bucket_of(call));
        }
        if let Some(elsewhere) = classify::elsewhere(reply) {
            return self.go_elsewhere(call, step, reply, elsewhere);
        }
        if classify::may_be_controlled(reply) && self.account().is_some() {
            let refusal = classify::whole(reply, &call.tags);
            return follow(&step.after(first_control(call, step), &refusal));
        }
        failed(call, reply)
    }

    /// The read after the write. What is not shown yet is waited for: the call starts again, and finds it.
    fn verified(&self, call: &Call, step: &Step, set: &TagSet) -> Answer {
        if !self.memory.is_shown(bucket_of(call), set) {
            return Answer::Failure(stale());
        }
        self.memory.holds(bucket_of(call), changes(call, step), true);
        done(call, step)
    }

    /// S3 Control merges by itself: it gets the call's own tags, then the call's own removals.
    fn controlled(&self, call: &Call, step: &Step, reply: &HttpReply) -> Answer {
        let bucket = bucket_of(call);
        if reply.is_success() {
            if !is_empty(reply) {
                return Answer::Failure(truncated(reply, request_id(reply)));
            }
            if step.stage == Stage::ControlTag && removed(call).next().is_some() {
                return follow(&step.at(Stage::ControlUntag));
            }
            self.memory.learn_controlled(bucket);
            self.memory.holds(bucket, changes(call, step), !self.verify);
            return if self.verify { follow(&step.at(Stage::Verify)) } else { done(call, step) };
        }
        let mut failure = classify::whole(reply, &call.tags);
        let refused = matches!(failure.kind, Kind::Denied | Kind::Rejected);
        if let Some((code, message)) = step.refusal.as_ref().filter(|_| refused) {
            // Neither way is open: the first refusal is what somebody has to look at.
            let kind = if code == "AccessDenied" { Kind::Denied } else { Kind::Rejected };
            let words = format!("{message} (S3 Control refuses too: {})", failure.code);
            let request_id = failure.request_id.take();
            failure = Failure { request_id, coded: true, ..Failure::new(kind, Blame::Unnamed, code, &words) };
        }
        Answer::Failure(failure)
    }

    /// HEAD names the region even where it is refused.
    fn located(&self, call: &Call, step: &Step, reply: &HttpReply) -> Answer {
        match reply.header("x-amz-bucket-region") {
            Some(region) => self.go_elsewhere(call, step, reply, Elsewhere::Region(region.trim().to_owned())),
            None if reply.status == 404 => {
                let words = "there is no bucket of that name";
                let failure = Failure::new(Kind::Rejected, Blame::Unnamed, "NoSuchBucket", words);
                Answer::Failure(Failure { missing: Missing::Yes, ..failure })
            }
            None if (300..400).contains(&reply.status) || reply.status == 400 => lost(step, reply),
            None => failed(call, reply),
        }
    }

    /// Starts the call anew where the bucket is. Once: a second redirect would go on for ever.
    fn go_elsewhere(&self, call: &Call, step: &Step, reply: &HttpReply, elsewhere: Elsewhere) -> Answer {
        let bucket = bucket_of(call);
        let refusal = classify::whole(reply, &call.tags);
        let region = match elsewhere {
            Elsewhere::Region(region) => region,
            Elsewhere::Unknown if step.stage != Stage::Locate && !step.moved => {
                return follow(&step.after(Stage::Locate, &refusal));
            }
            Elsewhere::Unknown => return lost(step, reply),
        };
        let ours = partition(&self.place.region).0;
        if check_region(&region).is_err() || partition(&region).0 != ours {
            return lost(step, reply);
        }
        let same = region == self.region(bucket, step);
        if same && reply.status == 307 {
            // A bucket so new that its name does not lead to its region yet.
            let words = "the bucket is new and its name is not known everywhere yet";
            return Answer::Failure(Failure::new(Kind::Transient, Blame::State, "TemporaryRedirect", words));
        }
        if step.moved || (same && step.stage != Stage::Locate) {
            return lost(step, reply);
        }
        self.memory.learn_region(bucket, &region);
        let refusal = step.refusal.clone();
        follow(&Step { stage: Stage::Read, region: Some(region), moved: true, kept: Vec::new(), refusal })
    }
}

/// What a call does, key by key.
fn changes<'a>(call: &'a Call, step: &'a Step) -> impl Iterator<Item = Change<'a>> {
    written_by(call, step).map(|(key, value)| (key, Some(value))).chain(removed(call).map(|key| (key, None)))
}

fn follow(step: &Step) -> Answer {
    Answer::FollowUp(step.memo())
}

fn first_control(call: &Call, step: &Step) -> Stage {
    if written_by(call, step).next().is_some() { Stage::ControlTag } else { Stage::ControlUntag }
}

fn done(call: &Call, step: &Step) -> Answer {
    let kept = step.kept.iter().map(|key| key.as_str().into()).collect::<Vec<_>>();
    let fate = if kept.is_empty() { Fate::Tagged } else { Fate::Kept(kept) };
    Answer::Finished(vec![fate; call.resources.len()])
}

fn failed(call: &Call, reply: &HttpReply) -> Answer {
    Answer::Failure(classify::whole(reply, &call.tags))
}

/// A success of a write has no body: one with a body is not what this API sends.
fn is_empty(reply: &HttpReply) -> bool {
    reply.body.iter().all(u8::is_ascii_whitespace)
}

/// The bucket is elsewhere, and nobody says where.
fn lost(step: &Step, reply: &HttpReply) -> Answer {
    let code = step.refusal.as_ref().map_or("PermanentRedirect", |(code, _)| code);
    let words = "the bucket is in another region, and the answers do not lead there; correct the lane's region";
    let mut failure = Failure::new(Kind::Rejected, Blame::Unnamed, code, words);
    failure.request_id = request_id(reply).and_then(fit);
    Answer::Failure(failure)
}

/// The read is behind a write of ours.
fn stale() -> Failure {
    let words = "the read does not show what was written within the last minute; it is read again";
    Failure { too_early: true, ..Failure::new(Kind::Transient, Blame::State, "stale_read", words) }
}

/// The write was there and is not any more.
fn not_kept() -> Failure {
    let words = "what was written is not there a minute later: something else writes this bucket's tags";
    Failure::new(Kind::Transient, Blame::State, "not_kept", words)
}

/// The bucket cannot hold them all.
fn full(before: usize, after: usize) -> Failure {
    let most = rules::TAGS_PER_RESOURCE;
    let words = format!("the bucket has {before} tags and would have {after}; it holds {most}");
    Failure::new(Kind::Rejected, Blame::Unnamed, "tag_quota", &words)
}
