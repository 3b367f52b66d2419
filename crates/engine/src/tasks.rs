//! Tasks: what clients see of the processes that shims run.
//!
//! Nothing is kept here. A container's record says whether a task may be asked for, the runtime knows the tasks, and
//! the shims know their processes. What this adds are the rules that hold for every runtime: the record must exist,
//! exec ids are identifiers, a request must carry what its shim will need.

use crate::clock;
use async_trait::async_trait;
use model::containers::Containers;
use model::filters::{Fields, Filters};
use model::tasks::{Create, Exec, Exit, Kill, Listed, Metric, Pid, Process, Resize, Runtime, Task, Update};
use model::{Error, Kind, Result, Scope, ids};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::task::JoinSet;

#[cfg(test)]
mod tests;

/// The media type of a checkpoint that a task can be restored from.
const CHECKPOINT: &str = "application/vnd.containerd.container.criu.checkpoint.criu.tar";
/// The annotation of a checkpoint that lies in a directory.
const RESTORE_FROM: &str = "RestoreFromPath";

/// The tasks service over any runtime.
#[derive(Clone)]
pub struct Tasks {
    containers: Arc<dyn Containers>,
    runtime: Arc<dyn Runtime>,
}

impl Tasks {
    /// The tasks of these containers, run by this runtime.
    pub fn new(containers: Arc<dyn Containers>, runtime: Arc<dyn Runtime>) -> Self {
        Self { containers, runtime }
    }

    /// A task whose container has a record.
    async fn find(&self, scope: &Scope, id: &str) -> Result<Arc<dyn Task>> {
        self.containers.check(scope, id).await?;
        self.runtime.get(scope, id)
    }

    /// Asks all tasks of a namespace at once; the answers stand in the order of the tasks, `None` for those without one.
    async fn ask_all<T, F>(
        &self,
        tasks: Vec<Arc<dyn Task>>,
        ask: impl Fn(Arc<dyn Task>) -> F,
    ) -> Vec<Option<T>>
    where
        T: Send + 'static,
        F: Future<Output = Option<T>> + Send + 'static,
    {
        let mut answers: Vec<Option<T>> = tasks.iter().map(|_| None).collect();
        let mut asked = JoinSet::new();
        for (at, task) in tasks.into_iter().enumerate() {
            let answer = ask(task);
            asked.spawn(async move { (at, answer.await) });
        }
        while let Some(joined) = asked.join_next().await {
            match joined {
                Ok((at, answer)) => answers[at] = answer,
                Err(error) => tracing::error!(%error, "asking a task ended early"),
            }
        }
        answers
    }
}

#[async_trait]
impl model::tasks::Tasks for Tasks {
    async fn create(&self, scope: &Scope, create: Create) -> Result<u32> {
        let container = self.containers.get(scope, &create.container_id).await?;
        check_checkpoint(&create)?;
        self.runtime.create(scope, &container, &create).await
    }

    async fn start(&self, scope: &Scope, id: &str, exec_id: &str) -> Result<u32> {
        self.find(scope, id).await?.start(exec_id).await
    }

    async fn delete(&self, scope: &Scope, id: &str) -> Result<Exit> {
        let task = self.find(scope, id).await?;
        task.delete().await.map_err(|e| e.during("failed to delete task"))
    }

    async fn delete_process(&self, scope: &Scope, id: &str, exec_id: &str) -> Result<Exit> {
        require_exec_id(exec_id)?;
        self.find(scope, id).await?.delete_process(exec_id).await
    }

    async fn get(&self, scope: &Scope, id: &str, exec_id: &str) -> Result<Process> {
        self.find(scope, id).await?.state(exec_id).await
    }

    async fn list(&self, scope: &Scope) -> Result<Vec<Listed>> {
        let tasks = self.runtime.list(&scope.namespace);
        let listed = self.ask_all(tasks, |task| async move {
            let container_id = task.id().to_string();
            match task.state("").await {
                Ok(process) => Some(Listed { container_id, process }),
                Err(error) => {
                    tracing::warn!(container_id, %error, "a task that cannot be asked is not listed");
                    None
                }
            }
        });
        Ok(listed.await.into_iter().flatten().collect())
    }

    async fn kill(&self, scope: &Scope, id: &str, kill: Kill) -> Result<()> {
        self.find(scope, id).await?.kill(kill).await
    }

    async fn exec(&self, scope: &Scope, id: &str, exec: Exec) -> Result<()> {
        require_exec_id(&exec.exec_id)?;
        let task = self.find(scope, id).await?;
        ids::validate(&exec.exec_id).map_err(|e| e.during(format!("invalid exec id {}", exec.exec_id)))?;
        if exec.spec.is_none() {
            return Err(Error::invalid("exec spec must be set"));
        }
        task.exec(exec).await
    }

    async fn resize(&self, scope: &Scope, id: &str, resize: Resize) -> Result<()> {
        self.find(scope, id).await?.resize(resize).await
    }

    async fn close_stdin(&self, scope: &Scope, id: &str, exec_id: &str) -> Result<()> {
        self.find(scope, id).await?.close_stdin(exec_id).await
    }

    async fn pause(&self, scope: &Scope, id: &str) -> Result<()> {
        self.find(scope, id).await?.pause().await
    }

    async fn resume(&self, scope: &Scope, id: &str) -> Result<()> {
        self.find(scope, id).await?.resume().await
    }

    async fn pids(&self, scope: &Scope, id: &str) -> Result<Vec<Pid>> {
        self.find(scope, id).await?.pids().await
    }

    async fn update(&self, scope: &Scope, id: &str, update: Update) -> Result<()> {
        let task = self.find(scope, id).await?;
        if update.resources.is_none() {
            return Err(Error::invalid("resources must be set"));
        }
        task.update(update).await
    }

    async fn metrics(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Metric>> {
        let filters = Filters::parse(filters).map_err(|e| e.with_kind(Kind::Unknown))?;
        let mut tasks = self.runtime.list(&scope.namespace);
        tasks.retain(|task| filters.matches(&Row(&**task)));
        let metrics = self.ask_all(tasks, |task| async move {
            let id = task.id().to_string();
            match task.stats().await {
                Ok(data) => Some(Metric { timestamp: clock::now(), id, data }),
                Err(error) => {
                    tracing::warn!(id, %error, "a task without statistics is left out");
                    None
                }
            }
        });
        Ok(metrics.await.into_iter().flatten().collect())
    }

    async fn wait(&self, scope: &Scope, id: &str, exec_id: &str) -> Result<Exit> {
        self.find(scope, id).await?.wait(exec_id).await
    }
}

fn require_exec_id(exec_id: &str) -> Result<()> {
    match exec_id {
        "" => Err(Error::new(Kind::InvalidArgument, "exec id cannot be empty")),
        _ => Ok(()),
    }
}

fn check_checkpoint(create: &Create) -> Result<()> {
    match &create.checkpoint {
        Some(target) if !target.annotations.contains_key(RESTORE_FROM) && target.media_type != CHECKPOINT => {
            Err(Error::unknown(format!("unsupported checkpoint type {:?}", target.media_type)))
        }
        _ => Ok(()),
    }
}

/// What a filter can look at in a task.
struct Row<'a>(&'a dyn Task);

impl Fields for Row<'_> {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["id", ..] => Some(Cow::Borrowed(self.0.id().as_str())),
            ["namespace", ..] => Some(Cow::Borrowed(self.0.namespace().as_str())),
            _ => None,
        }
    }
}
