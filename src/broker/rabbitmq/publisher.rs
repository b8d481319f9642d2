//! Publishing with confirms: pipelined, on a connection of its own, again after a loss, and answered only when safe.

use super::{
    address::Address,
    fault::answered,
    link::{Link, LinkState},
    message::Message,
    names::Names,
    topology::{self, Topology, short},
};
use crate::broker::BrokerError;
use lapin::{
    Channel, Confirmation, PublisherConfirm,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use std::{
    collections::VecDeque,
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

/// Messages on their way to the broker that it has not confirmed.
const WINDOW: usize = 500;
/// Without a confirm for that long a channel is given up (RabbitMQ 3.10 can leave one stuck after an election).
const STUCK: Duration = Duration::from_secs(15);
/// Waits between tries to connect: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Publishes what it is given. Clones share one connection; it closes when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Publisher {
    send: mpsc::Sender<Outgoing>,
    state: watch::Receiver<LinkState>,
}

#[derive(Debug)]
struct Outgoing {
    message: Message,
    done: oneshot::Sender<Result<(), BrokerError>>,
    /// Others who wait for the same message: one bell rings for many jobs.
    more: Vec<oneshot::Sender<Result<(), BrokerError>>>,
}

struct Flying {
    outgoing: Outgoing,
    confirm: PublisherConfirm,
    since: Instant,
}

/// Why a channel is not used any more.
enum End {
    /// Nobody wants to publish any more, and everything is confirmed.
    Done,
    /// The broker refused a message or answers nothing; another channel may do.
    Fresh(String),
    /// The connection is gone.
    Lost(String),
    /// The broker will not do it.
    Refused(BrokerError),
}

impl Publisher {
    /// Starts to connect. Until there is a connection, publishing waits.
    pub fn start(address: Address, name: String, topology: Topology) -> Self {
        let (send, requests) = mpsc::channel(WINDOW);
        let (tell, state) = watch::channel(LinkState::Lost("not connected yet".into()));
        let task = Task { address, name, topology, requests, tell, unsent: VecDeque::new(), bells: VecDeque::new() };
        tokio::spawn(task.run());
        Self { send, state }
    }

    /// Publishes these, in order. `Ok` when the broker has confirmed every one of them; a loss of the connection in
    /// between makes it wait and may publish some of them twice, with the same id.
    pub async fn publish(&self, messages: Vec<Message>) -> Result<(), BrokerError> {
        let mut waiting = Vec::with_capacity(messages.len());
        for message in messages {
            waiting.push(self.begin(message).await?);
        }
        for confirmed in waiting {
            confirmed.confirmed().await?;
        }
        Ok(())
    }

    /// Hands one message over, waiting for room; the answer tells when it is safe. Messages keep their order.
    pub async fn begin(&self, message: Message) -> Result<Promised, BrokerError> {
        let (done, answer) = oneshot::channel();
        self.send.send(Outgoing { message, done, more: Vec::new() }).await.map_err(|_| gone())?;
        Ok(Promised(answer))
    }

    /// Hands one message over if there is room for it, and does not wait for anything: it is one that may get lost.
    pub(super) fn offer(&self, message: Message) {
        let (done, _) = oneshot::channel();
        let _ = self.send.try_send(Outgoing { message, done, more: Vec::new() });
    }

    /// Whether it can publish: connected, blocked by the broker, or without a connection.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }
}

/// A message on its way.
#[derive(Debug)]
pub struct Promised(oneshot::Receiver<Result<(), BrokerError>>);

impl Promised {
    /// Waits until the broker has it.
    pub async fn confirmed(self) -> Result<(), BrokerError> {
        self.0.await.map_err(|_| gone())?
    }
}

fn gone() -> BrokerError {
    BrokerError::Unavailable("the connection for publishing was closed".into())
}

struct Task {
    address: Address,
    name: String,
    topology: Topology,
    requests: mpsc::Receiver<Outgoing>,
    tell: watch::Sender<LinkState>,
    /// Handed over, and not with the broker on the present channel.
    unsent: VecDeque<Outgoing>,
    /// Bells to ring, one a lane: an urgent job is safe when its lane has been told of it.
    bells: VecDeque<Outgoing>,
}

impl Task {
    async fn run(mut self) {
        let mut wait = BACKOFF.0;
        loop {
            let began = Instant::now();
            let end = match self.connect().await {
                Ok(link) => {
                    let end = self.serve(&link).await;
                    link.close().await;
                    end
                }
                Err(error @ BrokerError::Refused(_)) => End::Refused(error),
                Err(error) => End::Lost(error.to_string()),
            };
            match end {
                End::Done => return,
                End::Refused(error) => {
                    tracing::error!(why = %error, "publishing is refused");
                    self.tell.send_replace(LinkState::Lost(error.to_string()));
                    self.refuse(&error);
                }
                End::Fresh(why) | End::Lost(why) => {
                    tracing::warn!(%why, "the connection for publishing is lost; connecting again");
                    self.tell.send_replace(LinkState::Lost(why));
                }
            }
            // What nobody waits for any more will be done again by whoever has its message now.
            let is_wanted = self.unsent.iter().chain(&self.bells).any(Outgoing::is_wanted);
            if self.requests.is_closed() && self.requests.is_empty() && !is_wanted {
                return;
            }
            // A connection that held for a while starts the waits anew.
            wait = if began.elapsed() > BACKOFF.1 * 2 { BACKOFF.0 } else { (wait * 2).min(BACKOFF.1) };
            tokio::time::sleep(wait).await;
        }
    }

    async fn connect(&self) -> Result<Link, BrokerError> {
        let link = Link::open(&self.address, &self.name).await?;
        self.topology.prepare(&link).await?;
        Ok(link)
    }

    /// Uses one connection, channel after channel.
    async fn serve(&mut self, link: &Link) -> End {
        let mut wait = BACKOFF.0;
        loop {
            let channel = match confirming(link).await {
                Ok(channel) => channel,
                Err(error @ BrokerError::Refused(_)) => return End::Refused(error),
                Err(error) => return End::Lost(error.to_string()),
            };
            self.tell.send_replace(LinkState::Up);
            match self.pump(link, &channel).await {
                End::Fresh(why) => {
                    tracing::warn!(%why, "publishing goes on with a fresh channel");
                    topology::close(&channel).await;
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(BACKOFF.1);
                    // What was returned may be missing its queue.
                    if let Err(error) = self.topology.prepare(link).await {
                        return match error {
                            BrokerError::Refused(_) => End::Refused(error),
                            error => End::Lost(error.to_string()),
                        };
                    }
                }
                end => {
                    // A channel that is left open when its connection is closed makes the library break it off.
                    if matches!(end, End::Done) {
                        topology::close(&channel).await;
                    }
                    return end;
                }
            }
        }
    }

    /// Publishes until something ends the channel. Whatever is not confirmed then is in `unsent`, in order.
    async fn pump(&mut self, link: &Link, channel: &Channel) -> End {
        let mut flying: VecDeque<Flying> = VecDeque::new();
        let end = self.exchange(link, channel, &mut flying).await;
        for mut one in flying.into_iter().rev() {
            // What has been confirmed in the meantime needs no second try.
            match ready(&mut one.confirm).await {
                Some(Ok(Confirmation::Ack(None))) => self.confirmed(link.names(), one.outgoing),
                _ => self.unsent.push_front(one.outgoing),
            }
        }
        end
    }

    async fn exchange(&mut self, link: &Link, channel: &Channel, flying: &mut VecDeque<Flying>) -> End {
        let mut state = link.state();
        let mut look = tokio::time::interval(Duration::from_secs(1));
        let mut open = true;
        // A broker that was blocked until now answers late.
        let mut awake = Instant::now();
        loop {
            let now = state.borrow_and_update().clone();
            let blocked = match now {
                LinkState::Lost(why) => return End::Lost(why),
                LinkState::Blocked(_) => true,
                LinkState::Up => false,
            };
            if blocked {
                awake = Instant::now();
            }
            self.say(&now);
            // Nothing is written on a blocked connection: what waits here costs less than what waits there.
            let room = !blocked && flying.len() < WINDOW;
            if room && let Some(outgoing) = self.bells.pop_front().or_else(|| self.unsent.pop_front()) {
                match self.send(link, channel, outgoing).await {
                    Ok(one) => flying.push_back(one),
                    Err((outgoing, end)) => {
                        self.unsent.push_front(outgoing);
                        return end;
                    }
                }
                continue;
            }
            if !open && flying.is_empty() && self.unsent.is_empty() && self.bells.is_empty() {
                return End::Done;
            }
            tokio::select! {
                biased;
                changed = state.changed() => {
                    if changed.is_err() {
                        return End::Lost("the connection was closed".into());
                    }
                }
                confirmed = front(flying) => {
                    let Some(one) = flying.pop_front() else { continue };
                    match confirmed {
                        Ok(Confirmation::Ack(None)) => self.confirmed(link.names(), one.outgoing),
                        Ok(Confirmation::Ack(Some(returned))) => {
                            // The client may pin a returned message to the confirm of another: its own id tells.
                            let id = returned.delivery.properties.message_id().clone();
                            let id = id.as_ref().map(ShortString::as_str);
                            tracing::error!(id, "a message had no queue to go to; it is sent again");
                            self.unsent.push_front(one.outgoing);
                            return End::Fresh("a message was returned".into());
                        }
                        Ok(Confirmation::Nack(_)) => {
                            self.unsent.push_front(one.outgoing);
                            return End::Fresh("the broker could not take a message".into());
                        }
                        Ok(Confirmation::NotRequested) => {
                            self.unsent.push_front(one.outgoing);
                            return End::Fresh("the channel does not confirm".into());
                        }
                        Err(error) => {
                            self.unsent.push_front(one.outgoing);
                            return ended(&error);
                        }
                    }
                }
                wanted = self.requests.recv(), if open && room => match wanted {
                    Some(outgoing) => self.unsent.push_back(outgoing),
                    None => open = false,
                },
                _ = look.tick() => {
                    if !blocked && flying.front().is_some_and(|one| one.since.max(awake).elapsed() > STUCK) {
                        return End::Fresh(format!("no confirm in {STUCK:?}"));
                    }
                }
            }
        }
    }

    /// Writes one message. On a blocked connection nothing is written, and the library does not come back before it can:
    /// that is waited for. A connection that is given up instead leaves messages with the broker that it may take long
    /// after those that another connection has brought meanwhile.
    async fn send(&self, link: &Link, channel: &Channel, outgoing: Outgoing) -> Result<Flying, (Outgoing, End)> {
        let message = &outgoing.message;
        let names = short(&message.exchange).and_then(|exchange| Ok((exchange, short(&message.key)?)));
        let (exchange, key) = match names {
            Ok(names) => names,
            Err(error) => return Err((outgoing, End::Refused(error))),
        };
        let options = BasicPublishOptions { mandatory: message.mandatory, ..Default::default() };
        let sent = {
            let mut sending = pin!(channel.basic_publish(exchange, key, options, &message.body, message.properties()));
            let mut state = link.state();
            let mut since = Instant::now();
            loop {
                let blocked = matches!(*state.borrow_and_update(), LinkState::Blocked(_));
                tokio::select! {
                    biased;
                    sent = &mut sending => break sent.map_err(|error| ended(&error)),
                    changed = state.changed() => {
                        let now = state.borrow_and_update().clone();
                        since = Instant::now();
                        match now {
                            LinkState::Lost(why) => break Err(End::Lost(why)),
                            _ if changed.is_err() => break Err(End::Lost("the connection was closed".into())),
                            now => self.say(&now),
                        }
                    }
                    // It is not withdrawn by that: it may arrive twice.
                    () = sleep_until(since + STUCK), if !blocked => {
                        break Err(End::Lost(format!("nothing could be written in {STUCK:?}")));
                    }
                }
            }
        };
        match sent {
            Ok(confirm) => Ok(Flying { outgoing, confirm, since: Instant::now() }),
            Err(end) => Err((outgoing, end)),
        }
    }

    /// The broker has a message. An urgent job is in a queue that its lane's owner may not be looking at: a bell follows,
    /// and only then is it said to be safe.
    fn confirmed(&mut self, names: &Names, outgoing: Outgoing) {
        if outgoing.message.exchange != *names.urgent() {
            return settle(outgoing, Ok(()));
        }
        let Outgoing { message, done, more } = outgoing;
        if let Some(bell) = self.bells.iter_mut().find(|bell| bell.message.key == message.key) {
            bell.more.push(done);
            bell.more.extend(more);
        } else {
            self.bells.push_back(Outgoing { message: Message::bell(names, message.key), done, more });
        }
    }

    /// Tells whoever looks at the state.
    fn say(&self, now: &LinkState) {
        self.tell.send_if_modified(|told| {
            *told != *now && {
                *told = now.clone();
                true
            }
        });
    }

    /// Nothing that waits can be published.
    fn refuse(&mut self, error: &BrokerError) {
        for outgoing in self.unsent.drain(..).chain(self.bells.drain(..)) {
            settle(outgoing, Err(error.clone()));
        }
        while let Ok(outgoing) = self.requests.try_recv() {
            settle(outgoing, Err(error.clone()));
        }
    }
}

impl Outgoing {
    fn is_wanted(&self) -> bool {
        !self.done.is_closed() || self.more.iter().any(|done| !done.is_closed())
    }
}

fn settle(outgoing: Outgoing, outcome: Result<(), BrokerError>) {
    // Whoever asked may have gone; the message is where it should be.
    for done in outgoing.more {
        let _ = done.send(outcome.clone());
    }
    let _ = outgoing.done.send(outcome);
}

async fn confirming(link: &Link) -> Result<Channel, BrokerError> {
    let channel = link.channel().await?;
    answered("asking for confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
    Ok(channel)
}

fn ended(error: &lapin::Error) -> End {
    match super::fault::told(error, "publishing") {
        error @ BrokerError::Refused(_) => End::Refused(error),
        error => End::Lost(error.to_string()),
    }
}

/// The answer to the oldest message on its way.
async fn front(flying: &mut VecDeque<Flying>) -> lapin::Result<Confirmation> {
    match flying.front_mut() {
        Some(one) => (&mut one.confirm).await,
        None => std::future::pending().await,
    }
}

/// The answer, where it is there already.
async fn ready(confirm: &mut PublisherConfirm) -> Option<lapin::Result<Confirmation>> {
    poll_fn(|cx| match Pin::new(&mut *confirm).poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
