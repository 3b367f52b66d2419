//! From the image store to a registry.
//!
//! What others refer to goes first: layers and configs some at a time, then manifests, then indexes, the innermost
//! first, the image itself last. A registry that has the image has all of it.

use super::credentials::Asked;
use super::documents;
use super::progress::Tracker;
use super::pull::drive;
use super::{News, Transfers};
use model::content::Content;
use model::registries::{Push, Pushed, Repository};
use model::transfer::{ImageStore, Registry};
use model::{Error, Result, Scope};
use oci::{Descriptor, Digest, Matcher, media_type};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// An image on its way out.
struct Sender {
    content: Arc<dyn Content>,
    scope: Scope,
    repository: Arc<dyn Repository>,
    root: Digest,
    tracker: Arc<Tracker>,
    permits: Arc<Semaphore>,
}

/// What an image is made of.
#[derive(Default)]
struct Parts {
    /// Layers, configs and the like.
    objects: Vec<Descriptor>,
    /// Manifests and indexes, each after what it is part of.
    documents: Vec<Descriptor>,
}

impl Transfers {
    /// Brings an image of the store to a registry.
    pub(super) async fn push(
        &self,
        scope: &Scope,
        ends: (&ImageStore, &Registry),
        news: &News,
    ) -> Result<()> {
        let asked = self.ask_over(scope, ends.1)?;
        let pushed = self.push_as(scope, ends, (news, asked.clone())).await;
        if let Some(asked) = asked {
            asked.close().await;
        }
        pushed
    }

    async fn push_as(
        &self,
        scope: &Scope,
        (store, registry): (&ImageStore, &Registry),
        (news, asked): (&News, Option<Arc<Asked>>),
    ) -> Result<()> {
        let to = format!("OCI Registry ({})", registry.reference);
        news.event(format!("Pushing to {to}"));
        let image = self.images.get(scope, &store.name).await?;
        let root = documents::descriptor(&image.target)?;
        let repository = self.repository(registry, asked).await?;
        news.about("pushing content", &image.name, &root);
        let sender = Arc::new(Sender {
            content: self.content.clone(),
            scope: scope.clone(),
            repository,
            root: root.digest.clone(),
            tracker: Tracker::new(news, "uploading"),
            permits: self.uploads.clone(),
        });
        let parts = sender.parts(&root, (store, &image.name)).await?;
        sender.tracker.watch(sender.clone().send(parts)).await?;
        news.about("pushed content", &image.name, &root);
        news.event(format!("Completed push to {to}"));
        Ok(())
    }
}

impl Sender {
    /// Everything below the root for the platforms asked for; all if none is.
    async fn parts(&self, root: &Descriptor, (store, name): (&ImageStore, &str)) -> Result<Parts> {
        let wanted = (!store.platforms.is_empty()).then(|| Matcher::any(&store.platforms));
        let mut parts = Parts::default();
        let mut seen = HashSet::from([root.digest.clone()]);
        let mut waiting = std::collections::VecDeque::from([(root.clone(), name.to_owned())]);
        while let Some((next, parent)) = waiting.pop_front() {
            self.tracker.add(&next, &parent);
            let is_index = media_type::is_index(&next.media_type);
            if !is_index && !media_type::is_manifest(&next.media_type) {
                parts.objects.push(next);
                continue;
            }
            let mut children = documents::children(&*self.content, &self.scope, &next).await?;
            if let Some(matcher) = wanted.as_ref().filter(|_| is_index) {
                children.retain(|child| child.platform.as_ref().is_none_or(|p| matcher.matches(p)));
            }
            for child in children {
                if seen.insert(child.digest.clone()) {
                    waiting.push_back((child, next.ref_key()));
                }
            }
            parts.documents.push(next);
        }
        Ok(parts)
    }

    async fn send(self: Arc<Self>, parts: Parts) -> Result<()> {
        let mut sending = JoinSet::new();
        for object in parts.objects {
            let this = self.clone();
            sending.spawn(async move { this.send_one(&object).await });
        }
        drive(sending, async { Ok(()) }).await?;
        for document in parts.documents.iter().rev() {
            self.send_one(document).await?;
        }
        Ok(())
    }

    async fn send_one(&self, descriptor: &Descriptor) -> Result<()> {
        let _permit = self.permits.acquire().await.map_err(|_| Error::cancelled("push"))?;
        let Some(job) = self.tracker.find(&descriptor.digest) else { return Ok(()) };
        let reader = match self.content.reader(&self.scope, &descriptor.digest).await {
            // Whoever may not pass it on often does not have it either.
            Err(e) if e.is_not_found() && media_type::is_nondistributable(&descriptor.media_type) => {
                return Ok(());
            }
            other => other.map_err(|e| e.during(format!("push {}", job.name())))?,
        };
        let labels = self.content.info(&self.scope, &descriptor.digest).await?.labels;
        job.begin();
        let push = Push {
            descriptor: descriptor.clone(),
            root: self.root.clone(),
            reader: Arc::from(reader),
            labels,
            sent: job.done.clone(),
        };
        let pushed = self.repository.push(push).await;
        match pushed.map_err(|e| e.during(format!("failed to push {}", job.name())))? {
            Pushed::Exists => job.exists(),
            Pushed::Mounted | Pushed::Sent => job.complete(),
        }
        Ok(())
    }
}
