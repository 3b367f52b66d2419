//! Transfers whose caller goes away, and credentials that are asked for.

use super::World;
use async_trait::async_trait;
use engine::diff::{Diffs, Durability};
use engine::streams::Streams;
use engine::transfer::{Limits, Parts, Transfers};
use model::registries::{Access, Body, Credential, Phrases, Push, Pushed, Question, Registries, Repository};
use model::streams::{Accept, Accepted, Message, Stream};
use model::transfer::{Endpoint, ImageStore, Registry, Request, Transfer};
use model::{Any, Error, Result};
use oci::Descriptor;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A registry that asks who we are and then says nothing any more.
struct Silent;

struct Opened(Access);

#[async_trait]
impl Registries for Silent {
    async fn open(&self, access: Access) -> Result<Arc<dyn Repository>> {
        Ok(Arc::new(Opened(access)))
    }
}

#[async_trait]
impl Repository for Opened {
    fn source(&self) -> (String, String) {
        ("source".into(), "repository".into())
    }

    async fn resolve(&self) -> Result<Descriptor> {
        match &self.0.credentials {
            Some(credentials) => {
                let question = Question { host: "h".into(), ..Question::default() };
                let told = credentials.ask(question).await?;
                Err(Error::unknown(format!("{}", told == Credential::Header("told".into()))))
            }
            None => std::future::pending().await,
        }
    }

    async fn fetch(&self, _: &Descriptor, _: u64) -> Result<Box<dyn Body>> {
        std::future::pending().await
    }

    async fn push(&self, _: Push) -> Result<Pushed> {
        std::future::pending().await
    }
}

/// Questions and answers as plain text.
pub struct Plain;

impl Phrases for Plain {
    fn question(&self, question: Question) -> Any {
        Any { type_url: "question".into(), value: question.host.into() }
    }

    fn answer(&self, message: Any) -> Result<Credential> {
        Ok(Credential::Header(String::from_utf8_lossy(&message.value).into_owned()))
    }
}

/// A client that answers everything with `told`, and keeps what it was asked.
#[derive(Default)]
struct Client(Mutex<Vec<Message>>);

#[async_trait]
impl Stream for Client {
    async fn send(&self, message: Message) -> Result<()> {
        self.0.lock().expect("no panic holds it").push(message);
        Ok(())
    }

    async fn receive(&self) -> Result<Option<Message>> {
        Ok(Some(Message::Any(Any { type_url: "answer".into(), value: "told".into() })))
    }

    async fn close(&self) {}
}

pub fn transfers(world: &World, streams: Arc<Streams>) -> Transfers {
    let diff = Diffs::new(Vec::new(), world.engine.content.clone(), world.blobs.clone(), Durability::Asked);
    let parts = Parts {
        diff: Arc::new(diff),
        streams,
        registries: Arc::new(Silent),
        phrases: Arc::new(Plain),
        limits: Limits { downloads: 3, uploads: 3 },
    };
    Transfers::new(&world.engine, parts)
}

fn pull(auth_stream: &str) -> Request {
    let registry =
        Registry { reference: "h/r:1".into(), auth_stream: auth_stream.into(), ..Registry::default() };
    let store = ImageStore { name: "h/r:1".into(), ..ImageStore::default() };
    Request {
        source: Endpoint::Registry(Box::new(registry)),
        destination: Endpoint::ImageStore(Box::new(store)),
        progress: None,
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_lease() {
    let world = World::new().await;
    let transfers = transfers(&world, Arc::default());
    let leases = || world.engine.leases.list(&world.scope, &[]);
    {
        let transfer = transfers.transfer(&world.scope, pull(""));
        tokio::pin!(transfer);
        while leases().await.expect("lists").is_empty() {
            let polled = tokio::time::timeout(Duration::from_millis(1), &mut transfer).await;
            assert!(polled.is_err(), "nobody answers: {polled:?}");
        }
    }
    let gone = async {
        while !leases().await.expect("lists").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the lease goes");
}

#[tokio::test]
async fn credentials_are_asked_for_over_the_stream() {
    let world = World::new().await;
    let streams = Arc::new(Streams::default());
    let client = Arc::new(Client::default());
    let accepted = Accepted {
        namespace: world.scope.namespace.to_string(),
        lease: String::new(),
        id: "creds-1".into(),
        stream: client.clone(),
    };
    streams.accept(accepted).expect("a free name");
    let transfers = transfers(&world, streams);
    let error = transfers.transfer(&world.scope, pull("creds-1")).await.expect_err("the registry refuses");
    assert_eq!(error.text(), "failed to resolve image: true");
    let asked = client.0.lock().expect("no panic holds it").clone();
    assert_eq!(asked, [Message::Any(Any { type_url: "question".into(), value: "h".into() })]);
    let error = transfers.transfer(&world.scope, pull("creds-2")).await.expect_err("no such stream");
    assert!(error.is_not_found(), "{error:?}");
    assert!(world.engine.leases.list(&world.scope, &[]).await.expect("lists").is_empty());
}
