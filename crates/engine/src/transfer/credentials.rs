//! Credentials over a client's stream.

use async_trait::async_trait;
use model::registries::{Credential, Credentials, Phrases, Question};
use model::streams::{Message, Stream};
use model::{Error, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long a client may take to answer; a person may have to type.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client that is asked over a stream, one question at a time.
pub struct Asked {
    // Held from a question to its answer: the stream knows no numbers.
    stream: Mutex<Arc<dyn Stream>>,
    phrases: Arc<dyn Phrases>,
}

impl Asked {
    /// Asks over this stream.
    pub fn new(stream: Arc<dyn Stream>, phrases: Arc<dyn Phrases>) -> Self {
        Self { stream: Mutex::new(stream), phrases }
    }

    /// No more questions.
    pub async fn close(&self) {
        self.stream.lock().await.close().await;
    }
}

#[async_trait]
impl Credentials for Asked {
    async fn ask(&self, question: Question) -> Result<Credential> {
        let message = self.phrases.question(question);
        let answered = timeout(PATIENCE, async {
            let stream = self.stream.lock().await;
            stream.send(Message::Any(message)).await?;
            stream.receive().await
        });
        match answered.await.map_err(|_| Error::deadline(format!("no answer within {PATIENCE:?}")))?? {
            Some(Message::Any(answer)) => self.phrases.answer(answer),
            Some(_) => Err(Error::invalid("the client answered with something else than credentials")),
            None => Err(Error::unavailable("the client closed the stream on which it is asked")),
        }
    }
}
