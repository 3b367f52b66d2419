//! Diffs over gRPC.

use crate::connect::answer;
use crate::{Client, scoped, stub};
use async_trait::async_trait;
use model::diff::{Apply, Compare, Diff};
use model::images::Target;
use model::{Result, Scope};
use wire::api::diff::*;
use wire::fields::required;

#[async_trait]
impl Diff for Client {
    async fn apply(&self, scope: &Scope, apply: Apply) -> Result<Target> {
        let request = scoped(scope, ApplyRequest::from(apply))?;
        let done = answer(stub!(self, diff::diff_client::DiffClient).apply(request).await)?;
        Ok(required(done.applied, "applied")?.into())
    }

    async fn compare(&self, scope: &Scope, compare: Compare) -> Result<Target> {
        let request = scoped(scope, DiffRequest::from(compare))?;
        let done = answer(stub!(self, diff::diff_client::DiffClient).diff(request).await)?;
        Ok(required(done.diff, "diff")?.into())
    }
}
