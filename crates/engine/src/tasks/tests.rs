//! The rules, over a small honest runtime without processes.

use super::*;
use model::containers::Container;
use model::tasks::{Status, Tasks as _};
use model::{Any, ContainerId, Labels, Mask, Namespace, Timestamp, any};
use std::collections::BTreeMap;
use std::sync::Mutex;

#[derive(Default)]
struct Records(Mutex<BTreeMap<String, Container>>);

#[async_trait]
impl Containers for Records {
    async fn get(&self, _: &Scope, id: &str) -> Result<Container> {
        let found = self.0.lock().expect("lock").get(id).cloned();
        found.ok_or_else(|| Error::not_found(format!("container {id:?}")))
    }
    async fn list(&self, _: &Scope, _: &[String]) -> Result<Vec<Container>> {
        Ok(self.0.lock().expect("lock").values().cloned().collect())
    }
    async fn create(&self, _: &Scope, container: Container) -> Result<Container> {
        self.0.lock().expect("lock").insert(container.id.clone(), container.clone());
        Ok(container)
    }
    async fn update(&self, scope: &Scope, container: Container, _: Mask) -> Result<Container> {
        self.create(scope, container).await
    }
    async fn delete(&self, _: &Scope, id: &str) -> Result<()> {
        self.0.lock().expect("lock").remove(id);
        Ok(())
    }
}

/// Tasks that are running from the start; those whose id begins with `stuck` do not answer in time.
#[derive(Default)]
struct Fleet(Mutex<BTreeMap<String, Arc<Ship>>>);

struct Ship {
    id: ContainerId,
    namespace: Namespace,
}

impl Ship {
    fn answer(&self) -> Result<()> {
        match self.id.starts_with("stuck") {
            true => Err(Error::new(Kind::DeadlineExceeded, "context deadline exceeded")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Runtime for Fleet {
    async fn create(&self, scope: &Scope, container: &Container, _: &Create) -> Result<u32> {
        let ship = Ship { id: ContainerId::new(&container.id)?, namespace: scope.namespace.clone() };
        self.0.lock().expect("lock").insert(container.id.clone(), Arc::new(ship));
        Ok(1)
    }
    fn get(&self, _: &Scope, id: &str) -> Result<Arc<dyn Task>> {
        match self.0.lock().expect("lock").get(id) {
            Some(ship) => Ok(Arc::clone(ship) as Arc<dyn Task>),
            None => Err(Error::new(Kind::NotFound, format!("task {id} not found"))),
        }
    }
    fn list(&self, _: &Namespace) -> Vec<Arc<dyn Task>> {
        self.0.lock().expect("lock").values().map(|ship| Arc::clone(ship) as Arc<dyn Task>).collect()
    }
    fn owns(&self, _: &Namespace, id: &str) -> bool {
        self.0.lock().expect("lock").contains_key(id)
    }
}

fn exit(id: &str) -> Exit {
    Exit { id: id.to_owned(), pid: 1, status: 0, at: Timestamp::NEVER }
}

#[async_trait]
impl Task for Ship {
    fn id(&self) -> &ContainerId {
        &self.id
    }
    fn namespace(&self) -> &Namespace {
        &self.namespace
    }
    async fn start(&self, _: &str) -> Result<u32> {
        Ok(1)
    }
    async fn delete(&self) -> Result<Exit> {
        Err(Error::unknown("cannot delete a running process"))
    }
    async fn delete_process(&self, exec_id: &str) -> Result<Exit> {
        Ok(exit(exec_id))
    }
    async fn state(&self, _: &str) -> Result<Process> {
        self.answer()?;
        let (id, io) = (self.id.to_string(), model::tasks::Io::default());
        Ok(Process { id, pid: 1, status: Status::Running, io, exit_status: 0, exited_at: Timestamp::NEVER })
    }
    async fn kill(&self, _: Kill) -> Result<()> {
        Ok(())
    }
    async fn exec(&self, _: Exec) -> Result<()> {
        Ok(())
    }
    async fn resize(&self, _: Resize) -> Result<()> {
        Ok(())
    }
    async fn close_stdin(&self, _: &str) -> Result<()> {
        Ok(())
    }
    async fn pause(&self) -> Result<()> {
        Ok(())
    }
    async fn resume(&self) -> Result<()> {
        Ok(())
    }
    async fn pids(&self) -> Result<Vec<Pid>> {
        Ok(Vec::new())
    }
    async fn update(&self, _: Update) -> Result<()> {
        Ok(())
    }
    async fn stats(&self) -> Result<Option<Any>> {
        self.answer()?;
        Ok(None)
    }
    async fn wait(&self, exec_id: &str) -> Result<Exit> {
        Ok(exit(exec_id))
    }
}

struct House {
    scope: Scope,
    records: Arc<Records>,
    tasks: Tasks,
}

impl House {
    fn new() -> Self {
        let records = Arc::new(Records::default());
        let scope = Scope::new(Namespace::new("ns").expect("name"));
        let tasks = Tasks::new(Arc::clone(&records) as Arc<dyn Containers>, Arc::new(Fleet::default()));
        Self { scope, records, tasks }
    }

    async fn record(&self, id: &str, spec: Option<Any>) {
        let container = Container { id: id.to_owned(), spec, ..Container::default() };
        self.records.create(&self.scope, container).await.expect("record");
    }

    async fn create(&self, id: &str) -> Result<u32> {
        let create = Create { container_id: id.to_owned(), ..Create::default() };
        self.tasks.create(&self.scope, create).await
    }

    async fn run(&self, id: &str) {
        self.record(id, spec(any::SPEC_URL, b"{}")).await;
        self.create(id).await.expect("create");
    }
}

fn spec(url: &str, value: &'static [u8]) -> Option<Any> {
    Some(Any { type_url: url.to_owned(), value: value.into() })
}

fn refusal<T: std::fmt::Debug>(result: Result<T>) -> (Kind, String) {
    let error = result.expect_err("refused");
    (error.kind(), error.text().to_owned())
}

#[tokio::test]
async fn the_record_comes_first() {
    let house = House::new();
    let absent = (Kind::NotFound, "container \"a\": not found".to_owned());
    assert_eq!(refusal(house.create("a").await), absent);
    assert_eq!(refusal(house.tasks.get(&house.scope, "a", "").await), absent);
    house.record("a", None).await;
    let none = (Kind::NotFound, "task a not found".to_owned());
    assert_eq!(refusal(house.tasks.get(&house.scope, "a", "").await), none);
    house.run("a").await;
    house.records.delete(&house.scope, "a").await.expect("delete");
    assert_eq!(refusal(house.tasks.kill(&house.scope, "a", Kill::default()).await), absent);
    assert_eq!(house.tasks.list(&house.scope).await.expect("list").len(), 1);
}

#[tokio::test]
async fn checkpoints_of_another_kind() {
    let house = House::new();
    house.record("a", spec(any::SPEC_URL, b"{}")).await;
    let checkpoint = Some(model::images::Target { media_type: "x/y".to_owned(), ..Default::default() });
    let create = Create { container_id: "a".to_owned(), checkpoint, ..Create::default() };
    let expected = (Kind::Unknown, "unsupported checkpoint type \"x/y\"".to_owned());
    assert_eq!(refusal(house.tasks.create(&house.scope, create).await), expected);
}

#[tokio::test]
async fn execs() {
    let house = House::new();
    let exec = |id: &str, spec| Exec { exec_id: id.to_owned(), spec, ..Exec::default() };
    let empty = (Kind::InvalidArgument, "exec id cannot be empty".to_owned());
    assert_eq!(refusal(house.tasks.exec(&house.scope, "nobody", exec("", None)).await), empty);
    assert_eq!(refusal(house.tasks.delete_process(&house.scope, "nobody", "").await), empty);
    house.run("a").await;
    let bad = refusal(house.tasks.exec(&house.scope, "a", exec("a/b", None)).await);
    assert!(
        bad.0 == Kind::InvalidArgument && bad.1.starts_with("invalid exec id a/b: identifier "),
        "{bad:?}"
    );
    let missing = (Kind::InvalidArgument, "exec spec must be set: invalid argument".to_owned());
    assert_eq!(refusal(house.tasks.exec(&house.scope, "a", exec("e", None)).await), missing);
    house.tasks.exec(&house.scope, "a", exec("a", spec(any::PROCESS_URL, b"{}"))).await.expect("exec");
    assert_eq!(house.tasks.delete_process(&house.scope, "a", "a").await.expect("delete"), exit("a"));
}

#[tokio::test]
async fn refusals_of_the_rest() {
    let house = House::new();
    house.run("a").await;
    let update = Update { resources: None, annotations: Labels::new() };
    let missing = (Kind::InvalidArgument, "resources must be set: invalid argument".to_owned());
    assert_eq!(refusal(house.tasks.update(&house.scope, "a", update).await), missing);
    let running = (Kind::Unknown, "failed to delete task: cannot delete a running process".to_owned());
    assert_eq!(refusal(house.tasks.delete(&house.scope, "a").await), running);
}

#[tokio::test]
async fn a_stuck_task_is_left_out() {
    let house = House::new();
    for id in ["b", "stuck", "a"] {
        house.run(id).await;
    }
    let listed = house.tasks.list(&house.scope).await.expect("list");
    assert_eq!(listed.iter().map(|l| l.container_id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let metrics = house.tasks.metrics(&house.scope, &[]).await.expect("metrics");
    assert_eq!(metrics.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn metrics_by_filter() {
    let house = House::new();
    for id in ["a", "b"] {
        house.run(id).await;
    }
    for (filters, expected) in [
        (vec!["id==b"], vec!["b"]),
        (vec!["id.x==b"], vec!["b"]),
        (vec!["namespace==ns"], vec!["a", "b"]),
        (vec!["namespace==other"], vec![]),
    ] {
        let filters: Vec<String> = filters.into_iter().map(str::to_owned).collect();
        let metrics = house.tasks.metrics(&house.scope, &filters).await.expect("metrics");
        assert_eq!(metrics.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), expected, "{filters:?}");
    }
    let bad = refusal(house.tasks.metrics(&house.scope, &["id==\"".to_owned()]).await);
    assert!(bad.0 == Kind::Unknown && bad.1.starts_with("filters: parse error: "), "{bad:?}");
}
