//! What is told when the daemon is not there, or no longer.

use super::{Stage, refused};
use anyhow::Result;
use model::Kind;
use model::namespaces::Namespaces;

#[tokio::test]
async fn a_daemon_that_dies_is_told_and_one_that_comes_back_is_found() -> Result<()> {
    let mut stage = Stage::open().await?;
    Namespaces::list(&stage.client).await?;
    stage.daemon.kill9()?;
    for _ in 0..2 {
        let error = refused(Namespaces::list(&stage.client).await)?;
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.text().starts_with("connection to the daemon lost: "), "{error}");
    }
    stage.daemon.launch()?;
    Namespaces::list(&stage.client).await?;
    stage.finish().await
}
