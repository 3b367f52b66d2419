//! Credentials for registries, shown to the daemon over a stream when it asks.

use model::registries::{Credentials, Question};
use model::streams::{Message, Stream};
use model::{Error, Result};
use wire::registries::{answer_message, read_question};

/// Answers the daemon's questions until it asks no more.
///
/// # Errors
/// What the stream and whoever knows the credentials say; a message that is no question.
pub async fn answer_questions(stream: &dyn Stream, credentials: &dyn Credentials) -> Result<()> {
    while let Some(message) = stream.receive().await? {
        let question =
            question(message).ok_or_else(|| Error::invalid("the daemon asked in unknown words"))?;
        let answer = credentials.ask(question).await?;
        stream.send(Message::Any(answer_message(answer))).await?;
    }
    Ok(())
}

fn question(message: Message) -> Option<Question> {
    match message {
        Message::Any(any) => read_question(any),
        _ => None,
    }
}
