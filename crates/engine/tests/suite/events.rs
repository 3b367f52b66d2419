//! The exchange.

use crate::fakes::Plain;
use crate::text;
use engine::events::Exchange;
use model::events::{Envelope, Event, Events};
use model::{Any, Kind, Namespace, Timestamp};
use std::sync::Arc;

fn payload(text: &str) -> Option<Any> {
    Some(Any { type_url: String::from("t"), value: text.to_owned().into_bytes().into() })
}

#[tokio::test]
async fn filters_and_order() {
    let exchange = Exchange::new(Arc::new(Plain));
    let ns = Namespace::new("a").expect("an identifier");
    let subscribe = async |f: &str| exchange.subscribe(&[f.to_owned()]).await.expect(f);
    let mut by_topic = subscribe("topic~=^/x,namespace==a").await;
    let mut by_field = subscribe("event.id==1").await;
    let mut all = exchange.subscribe(&[]).await.expect("all");
    exchange.publish(&ns, "/x/one", payload("id=1")).await.expect("published");
    exchange.publish(&ns, "/y/two", payload("id=2")).await.expect("published");
    exchange.publish(&ns, "/y/none", None).await.expect("published");
    let three = Envelope {
        timestamp: Timestamp { seconds: 5, nanos: 0 },
        namespace: "b".into(),
        topic: "/x/three".into(),
        event: payload("id=1"),
    };
    exchange.forward(three.clone()).await.expect("forwarded");
    exchange.emit("not/an/id", &Event::NamespaceDelete { name: String::new() });
    exchange.emit("a", &Event::ImageDelete { name: "n".into() });
    exchange.close();
    let mut topics = Vec::new();
    while let Some(envelope) = all.next().await {
        topics.push(envelope.expect("an envelope").topic);
    }
    assert_eq!(topics, ["/x/one", "/y/two", "/y/none", "/x/three", "/images/delete"]);
    assert_eq!(by_topic.next().await.expect("one").expect("one").topic, "/x/one");
    assert!(by_topic.next().await.is_none());
    assert_eq!(by_field.next().await.expect("one").expect("one").topic, "/x/one");
    assert_eq!(by_field.next().await.expect("three").expect("three"), three);
}

#[tokio::test]
async fn refuses() {
    let exchange = Exchange::new(Arc::new(Plain));
    let ns = Namespace::new("a").expect("an identifier");
    assert_eq!(
        text(exchange.publish(&ns, "x", None).await),
        "InvalidArgument: envelope topic \"x\": must start with '/': invalid argument"
    );
    let forward = |namespace: &str| Envelope {
        timestamp: Timestamp::NEVER,
        namespace: namespace.into(),
        topic: "/x".into(),
        event: None,
    };
    assert_eq!(
        text(exchange.forward(forward("")).await),
        "InvalidArgument: event envelope has invalid namespace: identifier must not be empty: invalid argument"
    );
    let refused = exchange.subscribe(&[String::from("topic==/x")]).await.err().expect("a bad filter");
    assert_eq!(refused.kind(), Kind::InvalidArgument);
}

#[tokio::test]
async fn a_slow_subscriber_loses_its_subscription_and_nobody_elses() {
    let exchange = Exchange::with_queue(Arc::new(Plain), 2);
    let ns = Namespace::new("a").expect("an identifier");
    let mut slow = exchange.subscribe(&[]).await.expect("slow");
    let mut quick = exchange.subscribe(&[]).await.expect("quick");
    for topic in ["/1", "/2", "/3", "/4"] {
        exchange.publish(&ns, topic, None).await.expect("published");
        assert_eq!(quick.next().await.expect("there").expect("an envelope").topic, topic);
    }
    assert_eq!(slow.next().await.expect("first").expect("first").topic, "/1");
    assert_eq!(slow.next().await.expect("second").expect("second").topic, "/2");
    assert_eq!(slow.next().await.expect("the end").expect_err("overrun").kind(), Kind::ResourceExhausted);
    assert!(slow.next().await.is_none());
}
