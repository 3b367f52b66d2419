//! From a call to the verb that does it.

use std::time::Instant;

use model::{Error, Result};
use prost::Message;
use ttrpc::Call;
use wire::api::task_v3 as api;

use crate::container::{Key, OrderVerb, Reply};
use crate::poller::Token;
use crate::shim::Shim;

/// Both versions of the service have the same messages.
const SERVICES: [&str; 2] = ["containerd.task.v3.Task", "containerd.task.v2.Task"];

/// An answer that is ready, or `None` if it comes later.
pub type Answer = Result<Option<Vec<u8>>>;

/// A call that is being looked at.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Where the answer goes.
    pub reply: Reply,
    /// When nobody waits for it any longer.
    pub deadline: Option<Instant>,
}

impl Shim {
    /// Does what a call asks for.
    pub(crate) fn dispatch(&mut self, connection: Token, call: Call) {
        let reply = Reply { connection, stream_id: call.stream_id };
        let asked = Asked { reply, deadline: call.deadline };
        match self.route(asked, &call) {
            Ok(Some(bytes)) => self.answer(reply, Ok(bytes)),
            Ok(None) => {}
            Err(error) => self.answer(reply, Err(error)),
        }
    }

    fn route(&mut self, asked: Asked, call: &Call) -> Answer {
        if !SERVICES.contains(&call.service.as_str()) {
            return Err(Error::new(model::Kind::NotImplemented, format!("service {}", call.service)));
        }
        match call.method.as_str() {
            "State" => self.state(&decode(call)?),
            "Create" => self.create(asked, decode(call)?),
            "Start" => self.start(asked, &decode(call)?),
            "Delete" => self.delete(asked, &decode(call)?),
            "Pids" => self.list_pids(asked, &decode(call)?),
            "Pause" => self.order(asked, &decode::<api::PauseRequest>(call)?.id, OrderVerb::Pause),
            "Resume" => self.order(asked, &decode::<api::ResumeRequest>(call)?.id, OrderVerb::Resume),
            "Checkpoint" => self.checkpoint(asked, decode(call)?),
            "Kill" => self.kill(asked, &decode(call)?),
            "Exec" => self.exec(decode(call)?),
            "ResizePty" => self.resize(&decode(call)?),
            "CloseIO" => self.close_io(&decode(call)?),
            "Update" => self.update(asked, decode(call)?),
            "Wait" => self.wait_end(asked, &decode(call)?),
            "Stats" => self.stats(asked, &decode(call)?),
            "Connect" => self.connect(&decode(call)?),
            "Shutdown" => self.shutdown(&decode(call)?),
            method => Err(Error::new(model::Kind::NotImplemented, format!("method {method}"))),
        }
    }

    /// A container and one of its processes, or the refusal clients know.
    pub(crate) fn find(&mut self, id: &str, exec: &str) -> Result<&mut crate::container::Process> {
        let container = self.containers.get_mut(id).ok_or_else(not_created)?;
        container.process(exec).ok_or_else(|| Error::not_found(format!("process does not exist {exec}")))
    }
}

/// The refusal of an unknown container.
pub fn not_created() -> Error {
    Error::not_found("container not created")
}

/// The answer of methods that return nothing.
pub fn empty() -> Answer {
    Ok(Some(Vec::new()))
}

/// An answer with a message.
pub fn message(message: &impl Message) -> Answer {
    Ok(Some(message.encode_to_vec()))
}

/// The key of a request's process.
pub fn key(id: &str, exec: &str) -> Key {
    Key { container: id.to_owned(), exec: exec.to_owned() }
}

fn decode<M: Message + Default>(call: &Call) -> Result<M> {
    M::decode(call.payload.clone()).map_err(|e| Error::invalid(format!("{} request: {e}", call.method)))
}
