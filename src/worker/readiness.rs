//! Whether a worker can do its work: one state for the log, for systemd, and for whoever asks.

use super::{LaneView, Stand};
use crate::broker::rabbitmq::LinkState;
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// Causes that come and go are told no more often than that.
const QUIET: Duration = Duration::from_secs(5);
/// How often a worker that is not ready says so again.
const SAY_AGAIN: Duration = Duration::from_mins(1);

/// The state of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not every lane is open yet, and nothing has gone wrong.
    Starting,
    /// Connected, and every lane is open.
    Ready,
    /// Something is missing, and what. Whatever can work works.
    Degraded(String),
    /// It has been told to stop.
    Stopping,
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Ready => f.write_str("ready"),
            Self::Degraded(why) => write!(f, "degraded: {why}"),
            Self::Stopping => f.write_str("stopping"),
        }
    }
}

impl Readiness {
    /// What the lanes and the connection for publishing come to. Of that nothing is known before its first try.
    pub fn of<'v>(lanes: impl IntoIterator<Item = &'v LaneView>, link: Option<&LinkState>) -> Self {
        let (mut opening, mut open) = (0, 0);
        let (mut away, mut refused) = (Vec::new(), Vec::new());
        for view in lanes {
            match &view.stand {
                Stand::Opening => opening += 1,
                Stand::Open | Stand::Draining => open += 1,
                Stand::Away(why) => away.push((&view.name, why)),
                Stand::Refused(why) => refused.push((&view.name, why)),
                Stand::Closed => {}
            }
        }
        let mut why = Vec::new();
        match (link, away.first()) {
            (Some(LinkState::Blocked(reason)), _) => {
                why.push(format!("broker blocked ({}): publishing waits", alarm(reason)));
            }
            (Some(LinkState::Lost(reason)), _) => why.push(format!("no connection to the broker: {reason}")),
            (_, Some((_, reason))) if open == 0 => why.push(format!("no connection to the broker: {reason}")),
            _ => {}
        }
        if why.is_empty()
            && let Some((lane, reason)) = away.first()
        {
            why.push(format!("lane {lane} is not open{}: {reason}", others(&away)));
        }
        if let Some((lane, reason)) = refused.first() {
            why.push(format!("lane {lane} is refused{}: {reason}", others(&refused)));
        }
        match why.is_empty() {
            true if opening > 0 || link.is_none() => Self::Starting,
            true => Self::Ready,
            false => Self::Degraded(why.join("; ")),
        }
    }
}

fn others<T>(lanes: &[T]) -> String {
    if lanes.len() > 1 { format!(" (and {} more)", lanes.len() - 1) } else { String::new() }
}

/// RabbitMQ says `low on memory` or `low on disk`.
fn alarm(reason: &str) -> String {
    match reason {
        reason if reason.contains("memory") => "memory alarm".into(),
        reason if reason.contains("disk") => "disk alarm".into(),
        reason => reason.into(),
    }
}

/// What readiness is made of.
pub(super) struct Sources {
    pub(super) lanes: watch::Receiver<Vec<watch::Receiver<LaneView>>>,
    pub(super) link: watch::Receiver<LinkState>,
    /// A lane stands elsewhere.
    pub(super) news: Arc<Notify>,
    pub(super) stop: watch::Receiver<bool>,
}

/// Keeps the state up to date and tells the log of it, for ever.
pub(super) async fn keep(mut from: Sources, tell: watch::Sender<Readiness>) {
    let mut said: Option<(Readiness, Instant)> = None;
    let (mut linked, mut link_known, mut told_to_stop) = (true, false, false);
    loop {
        let now = if *from.stop.borrow_and_update() {
            Readiness::Stopping
        } else {
            let views: Vec<LaneView> =
                from.lanes.borrow_and_update().iter().map(|view| view.borrow().clone()).collect();
            let link = from.link.borrow_and_update();
            link_known |= !matches!(*link, LinkState::Lost(_));
            Readiness::of(&views, Some(&*link).filter(|_| link_known))
        };
        tell.send_if_modified(|told| {
            let is_news = *told != now;
            told.clone_from(&now);
            is_news
        });
        let is_same_kind =
            said.as_ref().is_some_and(|(last, _)| std::mem::discriminant(last) == std::mem::discriminant(&now));
        let elapsed = said.as_ref().map_or(Duration::MAX, |(_, at)| at.elapsed());
        let differs = said.as_ref().is_none_or(|(last, _)| *last != now);
        let is_fine = matches!(now, Readiness::Ready | Readiness::Stopping);
        if !is_same_kind || (differs && elapsed >= QUIET) || (!is_fine && elapsed >= SAY_AGAIN) {
            if let Readiness::Degraded(_) = &now {
                tracing::warn!("{now}");
            } else {
                tracing::info!("{now}");
            }
            said = Some((now, Instant::now()));
            continue;
        }
        let again = if differs { QUIET } else { SAY_AGAIN };
        tokio::select! {
            () = from.news.notified() => {}
            Ok(()) = from.lanes.changed() => {}
            changed = from.link.changed(), if linked => (linked, link_known) = (changed.is_ok(), true),
            _ = from.stop.changed(), if !told_to_stop => told_to_stop = true,
            () = tokio::time::sleep(again.saturating_sub(elapsed)), if !is_fine || differs => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{job::LaneName, lane::Status};
    use tracing::subscriber::DefaultGuard;

    fn lane(name: &str, stand: Stand) -> LaneView {
        let status = Status::default();
        let name = LaneName::new(name).unwrap();
        LaneView { name, stand, active: false, oldest: None, full: false, status, finished: false }
    }

    fn of<'l>(stands: &[Stand], link: impl Into<Option<&'l LinkState>>) -> String {
        let names = ["a", "b", "c"];
        let lanes: Vec<_> = stands.iter().zip(names).map(|(stand, name)| lane(name, stand.clone())).collect();
        Readiness::of(&lanes, link.into()).to_string()
    }

    #[test]
    fn a_worker_is_ready_when_it_is_connected_and_every_lane_is_open() {
        let up = LinkState::Up;
        assert_eq!(of(&[Stand::Opening, Stand::Open], &up), "starting");
        assert_eq!(of(&[Stand::Open], None), "starting");
        assert_eq!(of(&[Stand::Open, Stand::Open], &up), "ready");
    }

    #[test]
    fn what_is_missing_is_said_in_words_an_operator_knows() {
        let blocked = LinkState::Blocked("low on memory".into());
        assert_eq!(of(&[Stand::Open], &blocked), "degraded: broker blocked (memory alarm): publishing waits");
        let away = || Stand::Away("connecting to amqp://mq: refused".into());
        let none = "degraded: no connection to the broker: connecting to amqp://mq: refused";
        assert_eq!(of(&[away(), away()], &LinkState::Up), none);
        assert_eq!(
            of(&[away(), Stand::Open], &LinkState::Lost("reset".into())),
            "degraded: no connection to the broker: reset"
        );
        let some = of(&[Stand::Open, away(), away()], &LinkState::Up);
        assert_eq!(some, "degraded: lane b is not open (and 1 more): connecting to amqp://mq: refused");
        let refused = of(&[Stand::Open, Stand::Refused("no permission".into())], &LinkState::Up);
        assert_eq!(refused, "degraded: lane b is refused: no permission");
    }

    /// Counts what is logged.
    fn logged() -> (Arc<std::sync::Mutex<Vec<u8>>>, DefaultGuard) {
        #[derive(Clone)]
        struct Sink(Arc<std::sync::Mutex<Vec<u8>>>);
        impl std::io::Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let text = Arc::new(std::sync::Mutex::new(Vec::new()));
        let sink = Sink(Arc::clone(&text));
        let subscriber = tracing_subscriber::fmt().with_writer(move || sink.clone()).with_ansi(false).finish();
        (text, tracing::subscriber::set_default(subscriber))
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_at_once_and_what_stays_wrong_once_a_minute() {
        let (text, _guard) = logged();
        let (view, lanes) = watch::channel(lane("a", Stand::Opening));
        let (_link, link) = watch::channel(LinkState::Up);
        let (stop, stopped) = watch::channel(false);
        let news = Arc::new(Notify::new());
        let (tell, mut told) = watch::channel(Readiness::Starting);
        let sources = Sources { lanes: watch::channel(vec![lanes]).1, link, news: Arc::clone(&news), stop: stopped };
        let keeping = tokio::spawn(keep(sources, tell));
        let stand = |stand: Stand| {
            view.send_modify(|view| view.stand = stand);
            news.notify_one();
        };
        stand(Stand::Away("gone".into()));
        told.wait_for(|state| matches!(state, Readiness::Degraded(_))).await.unwrap();
        tokio::time::sleep(Duration::from_secs(150)).await;
        stand(Stand::Open);
        told.wait_for(|state| *state == Readiness::Ready).await.unwrap();
        tokio::time::sleep(Duration::from_mins(10)).await;
        stop.send_replace(true);
        told.wait_for(|state| *state == Readiness::Stopping).await.unwrap();
        keeping.abort();
        let said = String::from_utf8(text.lock().unwrap().clone()).unwrap();
        let count = |what: &str| said.lines().filter(|line| line.ends_with(what)).count();
        assert_eq!(count("degraded: no connection to the broker: gone"), 3, "{said}");
        assert_eq!((count(" ready"), count(" stopping")), (1, 1), "{said}");
    }
}
