//! Messages to model and back: nothing is lost on the way, and what is missing is named.

use model::{Kind, events::Codec, transfer::Endpoint};
use wire::{Any, Message, Name, api};

use crate::golden::filled;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A message with every field set comes back unchanged.
fn returns<M, N>()
where
    M: Message + Name + Default + Clone + PartialEq + std::fmt::Debug + From<N>,
    N: TryFrom<M, Error: std::fmt::Debug>,
{
    returns_as::<M, N>(filled());
}

fn returns_as<M, N>(message: M)
where
    M: Message + Name + Clone + PartialEq + std::fmt::Debug + From<N>,
    N: TryFrom<M, Error: std::fmt::Debug>,
{
    let noun = N::try_from(message.clone()).expect("every field is set");
    let back = M::from(noun);
    assert!(back == message, "{}: {back:#?} is not {message:#?}", M::full_name());
}

#[test]
fn records_return_whole() {
    returns::<api::namespaces::Namespace, model::namespaces::NamespaceInfo>();
    returns::<api::containers::Container, model::containers::Container>();
    returns::<api::images::Image, model::images::Image>();
    returns::<api::leases::Lease, model::leases::Lease>();
    returns::<api::leases::Resource, model::leases::Resource>();
    returns::<api::types::Sandbox, model::sandboxes::Sandbox>();
    returns::<api::types::Descriptor, model::images::Target>();
    returns::<api::types::Mount, model::Mount>();
    returns::<api::types::Platform, oci::Platform>();
    returns::<api::types::Metric, model::tasks::Metric>();
    returns::<api::types::Envelope, model::events::Envelope>();
    returns::<api::process::ProcessInfo, model::tasks::Pid>();
    returns::<api::snapshots::Info, model::snapshots::Info>();
    returns::<api::snapshots::UsageResponse, model::snapshots::Usage>();
    returns::<api::introspection::ServerResponse, model::plugins::Server>();
    returns::<api::endpoint::Progress, model::transfer::Progress>();
    returns::<api::endpoint::ImageStore, model::transfer::ImageStore>();
    returns::<api::endpoint::ImageImportStream, model::transfer::Import>();
    returns::<api::endpoint::ImageExportStream, model::transfer::Export>();
    returns_as::<Any, model::Any>(Any { type_url: "a/b".to_owned(), value: vec![0, 255].into() });
}

#[test]
fn requests_return_whole() {
    use model::{Mask, containers, content, diff, images, leases, namespaces, sandboxes, snapshots, tasks};
    returns::<api::namespaces::UpdateNamespaceRequest, (namespaces::NamespaceInfo, Mask)>();
    returns::<api::containers::UpdateContainerRequest, (containers::Container, Mask)>();
    returns::<api::images::CreateImageRequest, (images::Image, Option<model::Timestamp>)>();
    returns::<api::images::UpdateImageRequest, images::Update>();
    returns::<api::images::DeleteImageRequest, images::Delete>();
    returns::<api::leases::DeleteRequest, leases::Delete>();
    returns::<api::sandboxes::StoreUpdateRequest, (sandboxes::Sandbox, Mask)>();
    returns::<api::diff::ApplyRequest, diff::Apply>();
    returns::<api::diff::DiffRequest, diff::Compare>();
    returns::<api::tasks::CreateTaskRequest, tasks::Create>();
    returns::<api::tasks::DeleteResponse, tasks::Exit>();
    returns::<api::tasks::WaitResponse, tasks::Exit>();

    let mut update: api::content::UpdateRequest = filled();
    update.info = Some(api::content::Info { digest: DIGEST.to_owned(), size: 7, ..filled() });
    returns_as::<_, (content::Info, Mask)>(update);
    returns_as::<_, content::Status>(api::content::Status { offset: 7, ..filled() });

    let request: api::snapshots::UpdateSnapshotRequest = filled();
    let (info, mask): (snapshots::Info, Mask) = request.clone().try_into().expect("whole");
    assert_eq!(
        api::snapshots::UpdateSnapshotRequest::from((request.snapshotter.clone(), info, mask)),
        request
    );
}

/// Requests whose first field is somebody's name, which stands beside the model's struct.
#[test]
fn named_requests_return_whole() {
    macro_rules! named {
        ($($request:ty => $noun:ty, $name:ident;)+) => {$(
            let request: $request = filled();
            let noun: $noun = request.clone().into();
            assert_eq!(<$request>::from((request.$name.clone(), noun)), request);
        )+};
    }
    named! {
        api::snapshots::PrepareSnapshotRequest => model::snapshots::Prepare, snapshotter;
        api::snapshots::ViewSnapshotRequest => model::snapshots::Prepare, snapshotter;
        api::snapshots::CommitSnapshotRequest => model::snapshots::Commit, snapshotter;
        api::tasks::ExecProcessRequest => model::tasks::Exec, container_id;
        api::tasks::KillRequest => model::tasks::Kill, container_id;
        api::tasks::ResizePtyRequest => model::tasks::Resize, container_id;
        api::tasks::UpdateTaskRequest => model::tasks::Update, container_id;
    }
}

/// What goes to a shim carries what came from the client.
#[test]
fn shim_requests_carry_everything() {
    macro_rules! carried {
        ($version:ident) => {
            let create: api::tasks::CreateTaskRequest = filled();
            let sent = api::$version::CreateTaskRequest::from(("/b".to_owned(), create.clone().into()));
            let golden: api::$version::CreateTaskRequest = filled();
            let expected = api::$version::CreateTaskRequest {
                id: create.container_id,
                bundle: "/b".to_owned(),
                checkpoint: String::new(),
                parent_checkpoint: String::new(),
                ..golden
            };
            assert_eq!(sent, expected);

            let exec: api::tasks::ExecProcessRequest = filled();
            let sent = api::$version::ExecProcessRequest::from(("id".to_owned(), exec.into()));
            assert_eq!(sent, filled());
            let kill: api::tasks::KillRequest = filled();
            let signal = kill.signal;
            let sent = api::$version::KillRequest::from(("id".to_owned(), kill.into()));
            assert_eq!((sent.exec_id.as_str(), sent.signal, sent.all), ("exec_id", signal, true));
            let resize: api::tasks::ResizePtyRequest = filled();
            let sent = api::$version::ResizePtyRequest::from(("id".to_owned(), resize.into()));
            assert_eq!(sent, filled());
            let update: api::tasks::UpdateTaskRequest = filled();
            let sent = api::$version::UpdateTaskRequest::from(("id".to_owned(), update.into()));
            assert_eq!(sent, filled());

            let wire: api::$version::StateResponse = filled();
            let process = model::tasks::Process::from(wire.clone());
            assert_eq!((process.id.as_str(), process.pid, process.io.terminal), ("exec_id", wire.pid, true));
            assert_eq!(
                (process.io.stdin, process.io.stdout, process.io.stderr),
                (wire.stdin, wire.stdout, wire.stderr)
            );
            assert_eq!(process.exit_status, wire.exit_status);
            let pids = Vec::<model::tasks::Pid>::from(filled::<api::$version::PidsResponse>());
            assert_eq!(pids.len(), 2);
            let wire: api::$version::DeleteResponse = filled();
            let exit = model::tasks::Exit::from(wire);
            assert_eq!((exit.pid, exit.status, exit.at.nanos), (wire.pid, wire.exit_status, 987_654_321));
        };
    }
    carried!(task_v2);
    carried!(task_v3);
}

#[test]
fn processes_keep_their_own_id() {
    let wire: api::process::Process = filled();
    let listed = model::tasks::Listed::from(wire.clone());
    assert_eq!((listed.container_id.as_str(), listed.process.id.as_str()), ("container_id", "id"));
    let back = api::process::Process::from(listed);
    assert_eq!(back, api::process::Process { container_id: String::new(), ..wire });
    assert_eq!(model::tasks::Listed::from(back).container_id, "id");
}

#[test]
fn every_state_has_its_number() {
    for number in 0..=5 {
        let wire = api::process::Status::try_from(number).expect("known");
        assert_eq!(api::process::Status::from(model::tasks::Status::from(wire)) as i32, number);
    }
    for number in 1..=3 {
        let wire = api::snapshots::Kind::try_from(number).expect("known");
        let kind = Option::<model::snapshots::Kind>::from(wire).expect("known");
        assert_eq!(api::snapshots::Kind::from(kind) as i32, number);
    }
    assert_eq!(Option::<model::snapshots::Kind>::from(api::snapshots::Kind::Unknown), None);
}

#[test]
fn missing_parts_are_named() {
    macro_rules! refused {
        ($($request:expr => $noun:ty, $field:literal;)+) => {$(
            let error = <$noun>::try_from($request).expect_err($field);
            let text = format!("field \"{}\" is required: invalid argument", $field);
            assert_eq!((error.kind(), error.text()), (Kind::InvalidArgument, text.as_str()));
        )+};
    }
    use model::{Mask, containers, content, events, images, leases, namespaces, sandboxes, snapshots};
    refused! {
        api::namespaces::CreateNamespaceRequest::default() => namespaces::NamespaceInfo, "namespace";
        api::namespaces::UpdateNamespaceRequest::default() => (namespaces::NamespaceInfo, Mask), "namespace";
        api::containers::CreateContainerRequest::default() => containers::Container, "container";
        api::containers::UpdateContainerRequest::default() => (containers::Container, Mask), "container";
        api::images::CreateImageRequest::default() => (images::Image, Option<model::Timestamp>), "image";
        api::images::UpdateImageRequest::default() => images::Update, "image";
        api::images::Image::default() => images::Image, "image.target";
        api::leases::AddResourceRequest::default() => (String, leases::Resource), "resource";
        api::leases::DeleteResourceRequest::default() => (String, leases::Resource), "resource";
        api::content::UpdateRequest::default() => (content::Info, Mask), "info";
        api::snapshots::UpdateSnapshotRequest::default() => (snapshots::Info, Mask), "info";
        api::events::ForwardRequest::default() => events::Envelope, "envelope";
        api::shim_events::ForwardRequest::default() => events::Envelope, "envelope";
        api::sandboxes::StoreCreateRequest::default() => sandboxes::Sandbox, "sandbox";
        api::diff::ApplyRequest::default() => model::diff::Apply, "diff";
    }
}

#[test]
fn bad_digests_are_refused_in_each_methods_words() {
    use wire::content::{delete_digest, info_digest, read_digest};
    for (error, text) in [
        (info_digest("x"), "\"x\" failed validation"),
        (delete_digest("x"), "invalid checksum digest format"),
        (delete_digest("sha256:ab"), "invalid checksum digest length"),
        (read_digest("md5:00"), "md5:00: unsupported digest algorithm"),
    ] {
        let error = error.expect_err(text);
        assert_eq!((error.kind(), error.text()), (Kind::InvalidArgument, text));
    }
    assert_eq!(read_digest(DIGEST).expect("a digest").to_string(), DIGEST);
}

#[test]
fn ends_of_transfers_return_whole() {
    let mut registry: api::endpoint::OciRegistry = filled();
    let resolver = registry.resolver.as_mut().expect("a resolver");
    (resolver.http_debug, resolver.logs_stream) = (0, String::new());
    for mut any in [
        Any::pack(&registry),
        Any::pack(&filled::<api::endpoint::ImageStore>()),
        Any::pack(&filled::<api::endpoint::ImageImportStream>()),
        Any::pack(&filled::<api::endpoint::ImageExportStream>()),
    ] {
        let bare = any.clone();
        any.type_url = format!("type.googleapis.com/{}", any.type_url);
        assert_eq!(Any::from(Endpoint::try_from(any).expect("an end")), bare);
    }
    let stranger = Endpoint::try_from(Any::pack(&filled::<api::endpoint::ReadStream>())).expect_err("no end");
    assert_eq!(stranger.kind(), Kind::NotImplemented);
    let broken = Any { type_url: wire::typeurl::IMAGE_STORE.to_owned(), value: vec![10].into() };
    assert_eq!(Endpoint::try_from(broken).expect_err("broken").kind(), Kind::InvalidArgument);
}

#[test]
fn events_of_the_engine_have_known_payloads() {
    use model::events::Event;
    let exit = |id: &str| model::tasks::Exit {
        id: id.to_owned(),
        pid: 7,
        status: 137,
        at: model::Timestamp { seconds: 1, nanos: 2 },
    };
    let text = |s: &str| s.to_owned();
    let labels = || model::Labels::from([(text("a"), text("b"))]);
    let runtime = model::containers::RuntimeChoice { name: text("r"), options: None };
    for (event, name, json) in [
        (
            Event::TaskExit { container_id: text("c"), exit: exit("") },
            wire::typeurl::TASK_EXIT,
            r#"{"container_id":"c","id":"c","pid":7,"exit_status":137,"exited_at":{"seconds":1,"nanos":2}}"#,
        ),
        (
            Event::TaskDelete { container_id: text("c"), exit: exit("") },
            wire::typeurl::TASK_DELETE,
            r#"{"container_id":"c","pid":7,"exit_status":137,"exited_at":{"seconds":1,"nanos":2}}"#,
        ),
        (
            Event::TaskDelete { container_id: text("c"), exit: exit("e") },
            wire::typeurl::TASK_DELETE,
            r#"{"container_id":"c","pid":7,"exit_status":137,"exited_at":{"seconds":1,"nanos":2},"id":"e"}"#,
        ),
        (
            Event::ContainerCreate { id: text("c"), image: text("i"), runtime },
            wire::typeurl::CONTAINER_CREATE,
            r#"{"id":"c","image":"i","runtime":{"name":"r"}}"#,
        ),
        (
            Event::ContainerUpdate {
                id: text("c"),
                image: text("i"),
                labels: labels(),
                snapshot_key: text("k"),
            },
            wire::typeurl::CONTAINER_UPDATE,
            r#"{"id":"c","image":"i","labels":{"a":"b"},"snapshot_key":"k"}"#,
        ),
        (
            Event::ContentCreate { digest: text("d"), size: 9 },
            wire::typeurl::CONTENT_CREATE,
            r#"{"digest":"d","size":9}"#,
        ),
        (
            Event::SnapshotCommit { key: text("k"), name: text("n"), snapshotter: text("s") },
            wire::typeurl::SNAPSHOT_COMMIT,
            r#"{"key":"k","name":"n","snapshotter":"s"}"#,
        ),
        (
            Event::ImageUpdate { name: text("n"), labels: labels() },
            wire::typeurl::IMAGE_UPDATE,
            r#"{"name":"n","labels":{"a":"b"}}"#,
        ),
        (Event::NamespaceDelete { name: text("n") }, wire::typeurl::NAMESPACE_DELETE, r#"{"name":"n"}"#),
    ] {
        let any = wire::events::Payloads.encode(&event);
        assert_eq!(any.type_url, name);
        assert_eq!(wire::json::render(&any.clone().into()).expect("known").expect("whole"), json);
    }
    let any = wire::events::Payloads.encode(&Event::ImageUpdate { name: text("n"), labels: labels() });
    assert_eq!(wire::events::Payloads.decode(&any).field(&["labels", "a"]).as_deref(), Some("b"));
}

#[test]
fn failed_plugins_are_told_without_a_class() {
    let plugin = model::plugins::Plugin {
        kind: "t".to_owned(),
        error: Some(model::Error::not_found("btrfs")),
        ..Default::default()
    };
    let wire = api::introspection::Plugin::from(plugin);
    let status = wire.init_err.expect("an error");
    assert_eq!((status.code, status.message.as_str()), (2, "btrfs: not found"));
}
