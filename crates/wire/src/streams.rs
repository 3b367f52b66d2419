//! What crosses a stream: typed messages in an [`Any`].

use model::streams::Message;
use model::{Error, Result};

use crate::Any;
use crate::api::endpoint::{Data, Progress, WindowUpdate};

/// `InvalidArgument` for broken bytes; unknown types are passed on as they are.
impl TryFrom<Any> for Message {
    type Error = Error;
    fn try_from(any: Any) -> Result<Self> {
        let broken = |e| Error::invalid(format!("stream message {}: {e}", any.type_url));
        if let Some(data) = any.unpack::<Data>() {
            return Ok(Message::Data(data.map_err(broken)?.data));
        }
        if let Some(window) = any.unpack::<WindowUpdate>() {
            return Ok(Message::Window(u32::try_from(window.map_err(broken)?.update).unwrap_or(0)));
        }
        if let Some(progress) = any.unpack::<Progress>() {
            return Ok(Message::Progress(Box::new(progress.map_err(broken)?.into())));
        }
        Ok(Message::Any(any.into()))
    }
}

impl From<Message> for Any {
    fn from(message: Message) -> Self {
        match message {
            Message::Data(data) => Any::pack(&Data { data }),
            Message::Window(bytes) => {
                Any::pack(&WindowUpdate { update: i32::try_from(bytes).unwrap_or(i32::MAX) })
            }
            Message::Progress(progress) => Any::pack(&Progress::from(*progress)),
            Message::Any(any) => any.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way() {
        for message in [
            Message::Data(bytes::Bytes::from_static(b"abc")),
            Message::Window(65536),
            Message::Progress(Box::new(model::transfer::Progress {
                event: "saved".into(),
                ..Default::default()
            })),
            Message::Any(model::Any { type_url: "x.Y".into(), value: bytes::Bytes::from_static(b"1") }),
        ] {
            assert_eq!(Message::try_from(Any::from(message.clone())).expect("whole"), message);
        }
    }
}
