//! How a registry is reached, and who the user is there.
//!
//! The daemon speaks to the registry. What it needs to know beside the reference it reads from a directory with
//! hosts.toml files, the user's or one made of flags. Credentials it asks for, over a stream, and gets them for the
//! reference they were given for.

use super::hosts::{Hosts, Tls};
use crate::{Context, terminal};
use anyhow::{Result, bail, ensure};
use async_trait::async_trait;
use model::Scope;
use model::registries::{Access, Credential, Credentials, Question, Repository};
use model::transfer;
use std::sync::Arc;

/// Flags of those who go to a registry.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// The user's name and password, NAME:PASSWORD; a password that is left out is asked for.
    #[arg(long, short)]
    user: Option<String>,
    /// A token with which to get tokens.
    #[arg(long, conflicts_with = "user")]
    refresh: Option<String>,
    /// Speak HTTP without TLS.
    #[arg(long)]
    plain_http: bool,
    /// The directory with hosts.toml files, on the daemon's machine.
    #[arg(long)]
    hosts_dir: Option<String>,
    #[command(flatten)]
    tls: Tls,
    /// Not offered: the daemon's log tells.
    #[arg(long, hide = true)]
    http_dump: bool,
    /// Not offered: the daemon's log tells.
    #[arg(long, hide = true)]
    http_trace: bool,
    /// Not offered: the daemon does it.
    #[arg(long, hide = true)]
    local: bool,
}

/// An end of a transfer and who answers the daemon's questions about it.
pub struct Registry {
    /// The end.
    pub end: transfer::Registry,
    known: Arc<Known>,
    /// What the flags say of TLS.
    hosts: Option<Hosts>,
}

/// What is shown to registries for one reference.
struct Known {
    reference: String,
    credential: Credential,
}

impl Flags {
    /// The registry behind a reference.
    ///
    /// # Errors
    /// A flag that is not offered, with what to do instead; no password and nobody to ask.
    pub fn registry(&self, reference: &str) -> Result<Registry> {
        self.refuse()?;
        let hosts = self.tls.hosts()?;
        ensure!(
            hosts.is_none() || self.hosts_dir.is_none(),
            "--hosts-dir says all about TLS: write it into HOST/hosts.toml, or leave --hosts-dir out"
        );
        // Who shows nothing is asked too: the daemon's error then says what was missing.
        let known = Arc::new(Known { reference: reference.into(), credential: self.credential()? });
        let end = transfer::Registry {
            reference: reference.into(),
            host_dir: hosts.as_ref().map(Hosts::dir).or_else(|| self.hosts_dir.clone()).unwrap_or_default(),
            default_scheme: if self.plain_http { "http".into() } else { String::new() },
            auth_stream: super::stream_id("auth"),
            ..transfer::Registry::default()
        };
        Ok(Registry { end, known, hosts })
    }

    /// Refuses what only a client that goes to the registry itself could do.
    fn refuse(&self) -> Result<()> {
        let log = "the daemon goes to the registry: its log tells with log level debug";
        ensure!(
            !self.local,
            "--local is not offered: the daemon fetches and sends, and gantry only asks it to"
        );
        for (flag, given, why) in
            [("--http-dump", self.http_dump, log), ("--http-trace", self.http_trace, log)]
        {
            ensure!(!given, "{flag} is not offered: {why}");
        }
        Ok(())
    }

    fn credential(&self) -> Result<Credential> {
        if let Some(token) = &self.refresh {
            return Ok(Credential::Refresh(token.clone()));
        }
        let Some(user) = &self.user else { return Ok(Credential::None) };
        let (username, secret) = match user.split_once(':') {
            Some((name, password)) => (name, password.to_owned()),
            None => (user.as_str(), terminal::ask_secret(&format!("password of {user:?}"))?),
        };
        if username.is_empty() {
            bail!("--user {user:?} has no name; write NAME:PASSWORD");
        }
        Ok(Credential::Basic { username: username.into(), secret })
    }
}

impl Registry {
    /// Does the work, what it needs being there, and answers what the daemon asks meanwhile.
    ///
    /// # Errors
    /// Those of the work; what it needs cannot be made, or not taken away.
    pub async fn answering<T>(
        &self,
        cx: &Context,
        scope: &Scope,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.prepared(self.answer(cx, scope, work)).await
    }

    /// Does work with the repository itself, without the daemon.
    ///
    /// # Errors
    /// As [`Registry::answering`].
    pub async fn directly<T>(
        &self,
        cx: &Context,
        work: impl AsyncFnOnce(&dyn Repository) -> Result<T>,
    ) -> Result<T> {
        let access = Access { registry: self.end.clone(), credentials: Some(self.known.clone()) };
        self.prepared(async { work(&*cx.services.registries.open(access).await?).await }).await
    }

    /// Does work while the directory is there that it needs.
    async fn prepared<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(hosts) = &self.hosts else { return work.await };
        hosts.make()?;
        let done = super::unless_interrupted(work).await;
        let removed = hosts.remove();
        let done = done?;
        removed?;
        Ok(done)
    }

    async fn answer<T>(
        &self,
        cx: &Context,
        scope: &Scope,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let stream = cx.services.streams.open(scope, &self.end.auth_stream).await?;
        tokio::pin!(work);
        let done = tokio::select! {
            biased;
            done = &mut work => done,
            // No more questions. The transfer says what came of it, also of a stream that broke.
            _ = client::answer_questions(&*stream, &*self.known) => work.await,
        };
        stream.close().await;
        done
    }
}

#[async_trait]
impl Credentials for Known {
    async fn ask(&self, question: Question) -> model::Result<Credential> {
        // Nobody else's questions are answered.
        let ours = question.reference == self.reference;
        Ok(if ours { self.credential.clone() } else { Credential::None })
    }
}
