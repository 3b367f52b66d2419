//! The requests that have not been answered yet, for whoever asks what the daemon is doing.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use tonic::codegen::{Service, http};

/// The requests under way. Clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct Flights(Arc<Mutex<List>>);

#[derive(Debug, Default)]
struct List {
    next: u64,
    all: BTreeMap<u64, (String, Instant)>,
}

impl Flights {
    /// Every request's method and since when it is under way, the oldest first.
    pub fn list(&self) -> Vec<(String, Instant)> {
        self.lock().all.values().cloned().collect()
    }

    fn begin(&self, method: &str) -> Flight {
        let mut list = self.lock();
        let number = list.next;
        list.next += 1;
        list.all.insert(number, (method.to_owned(), Instant::now()));
        Flight { list: self.clone(), number }
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request; it is off the list when this is dropped, be it answered or given up.
struct Flight {
    list: Flights,
    number: u64,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.list.lock().all.remove(&self.number);
    }
}

impl<S> tower_layer::Layer<S> for Flights {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { flights: self.clone(), inner }
    }
}

/// A service whose requests are on the list.
#[derive(Clone)]
pub struct Counted<S> {
    flights: Flights,
    inner: S,
}

impl<S, B> Service<http::Request<B>> for Counted<S>
where
    S: Service<http::Request<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let flight = self.flights.begin(request.uri().path());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(flight);
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_list_while_under_way() {
        let flights = Flights::default();
        let (first, second) = (flights.begin("/a"), flights.begin("/b"));
        let methods = || flights.list().into_iter().map(|(method, _)| method).collect::<Vec<_>>();
        assert_eq!(methods(), ["/a", "/b"]);
        drop(first);
        assert_eq!(methods(), ["/b"]);
        drop(second);
        assert!(methods().is_empty());
    }
}
