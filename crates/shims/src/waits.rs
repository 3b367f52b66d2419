//! Waiting for exits: a shim is asked once for each process, however many wait.
//!
//! A shim cannot be told that somebody has stopped waiting. A client that waits with short deadlines, again and again,
//! would leave one question after the other there until the process ends.

use model::{Error, Kind, Result, tasks::Exit};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The questions that are on their way to one shim, by exec id.
#[derive(Debug, Default)]
pub(crate) struct Waits(Mutex<HashMap<String, Waiting>>);

/// Where the answer will be.
pub(crate) type Waiting = watch::Receiver<Option<Answer>>;

/// An answer for several: the exit, or an error's kind and text.
type Answer = Result<Exit, (Kind, String)>;

/// The duty to ask.
pub(crate) struct Question {
    exec_id: String,
    answer: watch::Sender<Option<Answer>>,
}

impl Waits {
    /// Where the answer will be, and the duty to ask for whoever is the first.
    pub(crate) fn join(&self, exec_id: &str) -> (Waiting, Option<Question>) {
        let mut waits = self.lock();
        if let Some(waiting) = waits.get(exec_id) {
            return (waiting.clone(), None);
        }
        let (answer, waiting) = watch::channel(None);
        waits.insert(exec_id.to_owned(), waiting.clone());
        (waiting, Some(Question { exec_id: exec_id.to_owned(), answer }))
    }

    /// Gives the answer to all that wait.
    pub(crate) fn answer(&self, question: Question, answer: Result<Exit>) {
        let Question { exec_id, answer: sender } = question;
        let mine = sender.subscribe();
        let mut waits = self.lock();
        if waits.get(&exec_id).is_some_and(|waiting| waiting.same_channel(&mine)) {
            waits.remove(&exec_id);
        }
        drop(waits);
        sender.send_replace(Some(answer.map_err(|e| (e.kind(), e.text().to_owned()))));
    }

    /// The process has been removed: whoever waits from now on means another one.
    pub(crate) fn forget(&self, exec_id: &str) {
        self.lock().remove(exec_id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the answer.
pub(crate) async fn answered(mut waiting: Waiting) -> Result<Exit> {
    let answer = match waiting.wait_for(Option::is_some).await {
        Ok(answer) => answer.clone(),
        Err(_) => None,
    };
    let closing = || Error::cancelled("the daemon is closing");
    answer.ok_or_else(closing)?.map_err(|(kind, text)| Error::new(kind, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(status: u32) -> Exit {
        Exit { id: "e".to_owned(), pid: 1, status, at: model::Timestamp::NEVER }
    }

    #[tokio::test]
    async fn asked_once_and_told_to_all() {
        let waits = Waits::default();
        let (first, question) = waits.join("e");
        let question = question.expect("the first asks");
        let (second, none) = waits.join("e");
        assert!(none.is_none());
        assert!(waits.join("f").1.is_some(), "another process");
        drop(second);
        let (third, none) = waits.join("e");
        assert!(none.is_none(), "though somebody has stopped waiting");
        waits.answer(question, Ok(exit(3)));
        assert_eq!(answered(first).await.expect("exit").status, 3);
        assert_eq!(answered(third).await.expect("exit").status, 3);
        assert!(waits.join("e").1.is_some(), "after the answer it is a new question");
    }

    #[tokio::test]
    async fn a_new_process_of_the_same_id() {
        let waits = Waits::default();
        let (old, first) = waits.join("e");
        waits.forget("e");
        let (new, second) = waits.join("e");
        waits.answer(first.expect("asked"), Ok(exit(3)));
        assert!(waits.join("e").1.is_none(), "the new one's question is still there");
        waits.answer(second.expect("asked"), Err(Error::unknown("ttrpc: closed")));
        assert_eq!(answered(old).await.expect("exit").status, 3);
        assert_eq!(answered(new).await.expect_err("failed").text(), "ttrpc: closed");
    }
}
