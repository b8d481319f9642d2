//! Group commit: one thread folds everything that waits into one durable transaction, then answers.

use super::{board::Board, fault::Res, store::Store, txn::Txn};
use crate::broker::BrokerError;
use std::{sync::Arc, thread::JoinHandle};
use tokio::sync::{mpsc, oneshot};

/// Steps that share one transaction at most: bounds its size and the wait of the first.
const FOLD: usize = 256;

/// One waiting write. It must look before it writes: a step that refuses says so in its value, since an error undoes
/// the steps of everybody else in the transaction.
trait Step: Send {
    fn run(&mut self, txn: &mut Txn<'_>) -> Res<()>;
    fn answer(self: Box<Self>, outcome: Result<(), &BrokerError>);
}

struct Typed<T, W> {
    work: Option<W>,
    value: Option<T>,
    tell: oneshot::Sender<Result<T, BrokerError>>,
}

impl<T: Send, W: FnOnce(&mut Txn<'_>) -> Res<T> + Send> Step for Typed<T, W> {
    fn run(&mut self, txn: &mut Txn<'_>) -> Res<()> {
        if let Some(work) = self.work.take() {
            self.value = Some(work(txn)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), &BrokerError>) {
        let answer = match (outcome, self.value) {
            (Ok(()), Some(value)) => Ok(value),
            (Ok(()), None) => Err(stopped()),
            (Err(BrokerError::InUse(text)), _) => Err(BrokerError::InUse(text.clone())),
            (Err(error), _) => Err(BrokerError::Storage(error.to_string())),
        };
        // Whoever asked may have gone; the write stands all the same.
        let _ = self.tell.send(answer);
    }
}

/// The door to the writer thread. Dropping it waits until everything sent is written.
#[derive(Debug)]
pub(super) struct Writer {
    inbox: Option<mpsc::Sender<Box<dyn Step>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(store: Arc<Store>, board: Arc<Board>) -> Result<Self, BrokerError> {
        let (inbox, waiting) = mpsc::channel(FOLD);
        let thread = std::thread::Builder::new()
            .name("tagmill-queue".into())
            .spawn(move || work(&store, &board, waiting))
            .map_err(|error| BrokerError::Storage(format!("the queue's thread could not start: {error}")))?;
        Ok(Self { inbox: Some(inbox), thread: Some(thread) })
    }

    /// Runs `work` in a transaction, shared with others, and returns its value once that is durable.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Txn<'_>) -> Res<T> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let (tell, told) = oneshot::channel();
        let step = Box::new(Typed { work: Some(work), value: None, tell });
        let inbox = self.inbox.as_ref().ok_or_else(stopped)?;
        inbox.send(step).await.map_err(|_| stopped())?;
        told.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.inbox = None;
        if let Some(thread) = self.thread.take() {
            // The thread catches panics of its own steps; there is nothing to report here.
            let _ = thread.join();
        }
    }
}

fn work(store: &Store, board: &Board, mut waiting: mpsc::Receiver<Box<dyn Step>>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut steps = vec![first];
        while steps.len() < FOLD
            && let Ok(next) = waiting.try_recv()
        {
            steps.push(next);
        }
        let outcome = store.write(board, |txn| steps.iter_mut().try_for_each(|step| step.run(txn)));
        for step in steps {
            step.answer(outcome.as_ref().copied());
        }
    }
}

fn stopped() -> BrokerError {
    BrokerError::Storage("the queue has stopped: run the command again".into())
}
