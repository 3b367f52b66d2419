//! From a registry to the image store.
//!
//! ```text
//! resolve ─▶ documents (level by level) ─▶ layers, some at a time ─────┐
//!                                     └─▶ unpack each as it arrives ───┴─▶ names
//! ```
//!
//! A layer whose snapshot is there is not fetched. The names come last: an image that has one is whole. What was
//! fetched for a pull that failed is rubbish; what a killed daemon left of a blob is resumed. Not here: verifiers of
//! images, referrers.

use super::credentials::Asked;
use super::documents::{self, ForPlatform};
use super::fetch::Fetcher;
use super::progress::Tracker;
use super::unpack::{self, Supply};
use super::{News, Transfers};
use async_trait::async_trait;
use model::leases::Resource;
use model::registries::{Access, Credentials, Repository};
use model::transfer::{ImageStore, Registry};
use model::{Error, Result, Scope};
use oci::{Descriptor, Digest, Manifest, Matcher, Platform, media_type};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A document to fetch.
struct Wanted {
    descriptor: Descriptor,
    /// The name of what it is part of.
    parent: String,
    layers: Layers,
}

/// What becomes of a manifest's layers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layers {
    Fetched,
    LeftOut,
}

/// What the documents of an image say.
#[derive(Default)]
struct Tree {
    manifests: Vec<(Descriptor, Manifest)>,
    /// Objects that are no documents, with the name of their manifest.
    objects: Vec<(Descriptor, String)>,
}

/// A pull under way.
struct Pull<'a> {
    transfers: &'a Transfers,
    scope: &'a Scope,
    store: &'a ImageStore,
    fetcher: Arc<Fetcher>,
    tracker: Arc<Tracker>,
}

impl Transfers {
    /// Fetches an image, unpacks what is asked for, and names it.
    pub(super) async fn pull(
        &self,
        scope: &Scope,
        ends: (&Registry, &ImageStore),
        news: &News,
    ) -> Result<()> {
        let asked = self.ask_over(scope, ends.0)?;
        let pulled = self.pull_as(scope, ends, (news, asked.clone())).await;
        if let Some(asked) = asked {
            asked.close().await;
        }
        pulled
    }

    /// Who is asked for a registry's credentials.
    pub(super) fn ask_over(&self, scope: &Scope, registry: &Registry) -> Result<Option<Arc<Asked>>> {
        if registry.auth_stream.is_empty() {
            return Ok(None);
        }
        let stream = self.streams.take(&scope.namespace, &registry.auth_stream)?;
        Ok(Some(Arc::new(Asked::new(stream, self.phrases.clone()))))
    }

    /// Opens the repository that an end of a transfer names.
    pub(super) async fn repository(
        &self,
        registry: &Registry,
        asked: Option<Arc<Asked>>,
    ) -> Result<Arc<dyn Repository>> {
        let credentials = asked.map(|asked| asked as Arc<dyn Credentials>);
        self.registries.open(Access { registry: registry.clone(), credentials }).await
    }

    async fn pull_as(
        &self,
        scope: &Scope,
        (registry, store): (&Registry, &ImageStore),
        (news, asked): (&News, Option<Arc<Asked>>),
    ) -> Result<()> {
        self.unpacker.check(&store.unpacks)?;
        let from = format!("OCI Registry ({})", registry.reference);
        news.event(format!("Resolving from {from}"));
        let unresolved = |e: Error| e.during("failed to resolve image");
        let repository = self.repository(registry, asked).await.map_err(unresolved)?;
        let root = repository.resolve().await.map_err(unresolved)?;
        news.event(format!("Pulling from {from}"));
        let name = if store.name.is_empty() { &registry.reference } else { &store.name };
        news.about("fetching image content", name, &root);
        let pull = Pull {
            transfers: self,
            scope,
            store,
            fetcher: Arc::new(Fetcher {
                content: self.content.clone(),
                scope: scope.clone(),
                repository,
                permits: self.downloads.clone(),
            }),
            tracker: Tracker::new(news, "downloading"),
        };
        pull.tracker.watch(pull.run(&root, name)).await?;
        for name in self.keep(scope, store, &root).await? {
            news.about("saved", &name, &root);
        }
        news.event(format!("Completed pull from {from}"));
        Ok(())
    }
}

impl Pull<'_> {
    async fn run(&self, root: &Descriptor, name: &str) -> Result<()> {
        let tree = self.documents(root, name).await?;
        let images = self.images(&tree).await?;
        let plans = self.plans(&images);
        let (mut needed, mut spared) = (HashSet::new(), HashSet::new());
        for (image, snapshotter) in &plans {
            let missing = self.first_missing(image, snapshotter).await?;
            let layers = image.manifest.layers.iter().filter(|layer| media_type::is_layer(&layer.media_type));
            for (number, layer) in layers.enumerate() {
                (if number < missing { &mut spared } else { &mut needed }).insert(layer.digest.clone());
            }
        }
        let mut fetching = JoinSet::new();
        let mut arrivals = Arrivals { waits: HashMap::new(), tracker: self.tracker.clone() };
        for (descriptor, parent) in &tree.objects {
            let digest = &descriptor.digest;
            if arrivals.waits.contains_key(digest) {
                continue;
            }
            let job = self.tracker.add(descriptor, parent);
            if spared.contains(digest) && !needed.contains(digest) {
                job.exists();
                continue;
            }
            let (arrived, wait) = watch::channel(false);
            arrivals.waits.insert(digest.clone(), wait);
            let (fetcher, descriptor) = (self.fetcher.clone(), descriptor.clone());
            fetching.spawn(async move {
                fetcher.fetch(&descriptor, &job).await?;
                arrived.send_replace(true);
                Ok(())
            });
        }
        drive(fetching, self.unpack(&plans, &arrivals)).await
    }

    /// Fetches every document below the root that is wanted.
    async fn documents(&self, root: &Descriptor, name: &str) -> Result<Tree> {
        let mut tree = Tree::default();
        let mut seen = HashSet::from([root.digest.clone()]);
        let first = Wanted { descriptor: root.clone(), parent: name.to_owned(), layers: Layers::Fetched };
        let mut level = vec![first];
        while !level.is_empty() {
            self.fetch_level(&level).await?;
            let mut next = Vec::new();
            for wanted in level {
                self.descend(wanted, &mut tree, &mut next).await?;
            }
            next.retain(|wanted| seen.insert(wanted.descriptor.digest.clone()));
            if seen.len() > documents::MAX_DOCUMENTS {
                return Err(documents::too_many(&root.digest));
            }
            level = next;
        }
        Ok(tree)
    }

    async fn fetch_level(&self, level: &[Wanted]) -> Result<()> {
        let mut fetching = JoinSet::new();
        for wanted in level {
            documents::check_size(&wanted.descriptor)?;
            let job = self.tracker.add(&wanted.descriptor, &wanted.parent);
            let (fetcher, descriptor) = (self.fetcher.clone(), wanted.descriptor.clone());
            fetching.spawn(async move { fetcher.fetch(&descriptor, &job).await });
        }
        drive(fetching, async { Ok(()) }).await
    }

    /// Reads a document and sorts what it refers to.
    async fn descend(&self, wanted: Wanted, tree: &mut Tree, next: &mut Vec<Wanted>) -> Result<()> {
        let Wanted { descriptor, layers, .. } = wanted;
        let content = &*self.transfers.content;
        let children = documents::children(content, self.scope, &descriptor).await?;
        documents::hold(content, self.scope, &descriptor, &children).await?;
        let parent = descriptor.ref_key();
        if media_type::is_index(&descriptor.media_type) {
            for (child, layers) in self.choose(children) {
                next.push(Wanted { descriptor: child, parent: parent.clone(), layers });
            }
        } else if media_type::is_manifest(&descriptor.media_type) {
            let bytes = documents::read(content, self.scope, &descriptor.digest).await?;
            let manifest = Manifest::parse(&bytes, &descriptor.media_type)
                .map_err(|e| Error::invalid(format!("{}: {e}", descriptor.digest)))?;
            let config = manifest.config.clone();
            next.push(Wanted { descriptor: config, parent: parent.clone(), layers });
            if layers == Layers::Fetched {
                tree.objects.extend(manifest.layers.iter().map(|layer| (layer.clone(), parent.clone())));
                tree.manifests.push((descriptor, manifest));
            }
        }
        Ok(())
    }

    /// The entries of an index that are wanted.
    fn choose(&self, mut entries: Vec<Descriptor>) -> Vec<(Descriptor, Layers)> {
        let platforms = &self.store.platforms;
        let matcher = if platforms.is_empty() { Matcher::All } else { Matcher::ordered(platforms) };
        let fits = |entry: &Descriptor| entry.platform.as_ref().is_none_or(|p| matcher.matches(p));
        let limit = self.store.manifest_limit as usize;
        if limit > 0 {
            let best: HashSet<Digest> =
                matcher.select(&entries).into_iter().take(limit).map(|e| e.digest.clone()).collect();
            entries.retain(|e| !media_type::is_manifest(&e.media_type) || best.contains(&e.digest));
        }
        let layers = |entry: &Descriptor| match (fits(entry), self.store.all_metadata) {
            (true, _) => Some(Layers::Fetched),
            (false, true) => Some(Layers::LeftOut),
            (false, false) => None,
        };
        entries.into_iter().filter_map(|entry| layers(&entry).map(|layers| (entry, layers))).collect()
    }

    /// The manifests whose platform is known.
    async fn images(&self, tree: &Tree) -> Result<Vec<ForPlatform>> {
        let mut images = Vec::new();
        for (descriptor, manifest) in &tree.manifests {
            let platform = match &descriptor.platform {
                Some(platform) => platform.clone(),
                None if media_type::is_image_config(&manifest.config.media_type) => {
                    documents::config(&*self.transfers.content, self.scope, manifest).await?.platform
                }
                None => continue,
            };
            images.push(ForPlatform { descriptor: descriptor.clone(), manifest: manifest.clone(), platform });
        }
        Ok(images)
    }

    /// Which images are unpacked, and where.
    fn plans<'i>(&self, images: &'i [ForPlatform]) -> Vec<(&'i ForPlatform, String)> {
        let mut plans: Vec<(&ForPlatform, String)> = Vec::new();
        for unpack in &self.store.unpacks {
            let platform = unpack.platform.clone().unwrap_or_else(|| Platform::host(""));
            let Some(image) = documents::best(images, &Matcher::only(&platform)) else { continue };
            let snapshotter = unpack::snapshotter(unpack);
            let is_planned = |(i, s): &(&ForPlatform, String)| {
                i.descriptor.digest == image.descriptor.digest && s == snapshotter
            };
            if !plans.iter().any(is_planned) {
                plans.push((image, snapshotter.to_owned()));
            }
        }
        plans
    }

    /// The number of the first layer that has no snapshot yet. The transfer's lease holds the snapshots before it.
    async fn first_missing(&self, image: &ForPlatform, snapshotter: &str) -> Result<usize> {
        let Transfers { unpacker, leases, .. } = self.transfers;
        let chain = unpacker.chain(self.scope, image).await?;
        let count = self.present(snapshotter, &chain).await?;
        let Some(lease) = &self.scope.lease else { return Ok(count) };
        // All at once: that is one write.
        let mut holding = JoinSet::new();
        for id in &chain[..count] {
            let resource = Resource { kind: format!("snapshots/{snapshotter}"), id: id.clone() };
            let (leases, scope, lease) = (leases.clone(), self.scope.clone(), lease.clone());
            holding.spawn(async move { leases.add_resource(&scope, &lease, resource).await });
        }
        drive(holding, async { Ok(()) }).await?;
        // Some may have gone before they were held.
        self.present(snapshotter, &chain[..count]).await
    }

    /// How many snapshots of a chain there are, the lowest first.
    async fn present(&self, snapshotter: &str, chain: &[String]) -> Result<usize> {
        for (number, id) in chain.iter().enumerate() {
            if !self.transfers.unpacker.has(self.scope, snapshotter, id).await? {
                return Ok(number);
            }
        }
        Ok(chain.len())
    }

    async fn unpack(&self, plans: &[(&ForPlatform, String)], arrivals: &Arrivals) -> Result<()> {
        for (image, snapshotter) in plans {
            self.transfers.unpacker.unpack_from(self.scope, (image, snapshotter), arrivals).await?;
        }
        Ok(())
    }
}

/// Layers on their way.
struct Arrivals {
    waits: HashMap<Digest, watch::Receiver<bool>>,
    tracker: Arc<Tracker>,
}

#[async_trait]
impl Supply for Arrivals {
    async fn arrived(&self, layer: &Descriptor) {
        if let Some(wait) = self.waits.get(&layer.digest)
            && wait.clone().wait_for(|arrived| *arrived).await.is_err()
        {
            // Its fetch failed; whoever runs the fetches ends this.
            std::future::pending::<()>().await;
        }
    }

    fn extracting(&self, layer: &Descriptor) {
        if let Some(job) = self.tracker.find(&layer.digest) {
            job.extracting();
        }
    }

    fn extracted(&self, layer: &Descriptor) {
        if let Some(job) = self.tracker.find(&layer.digest) {
            job.extracted();
        }
    }
}

/// Runs fetches and what waits for them; the first failure ends both.
pub(super) async fn drive(
    mut fetching: JoinSet<Result<()>>,
    meanwhile: impl Future<Output = Result<()>>,
) -> Result<()> {
    tokio::pin!(meanwhile);
    let mut is_over = false;
    loop {
        tokio::select! {
            biased;
            Some(done) = fetching.join_next() => {
                done.map_err(|e| Error::internal(format!("a fetch ended early: {e}")))??;
            }
            done = &mut meanwhile, if !is_over => {
                done?;
                is_over = true;
            }
            else => return Ok(()),
        }
    }
}
