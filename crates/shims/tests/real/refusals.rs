//! Requests that fail, and what is left of them: nothing.

use crate::stage::{Peer, Stage, peers, within};
use model::tasks::{Create, Runtime};
use model::{Kind, Mount, containers::Container};

async fn refuse(stage: &Stage, container: &Container, request: &Create) -> (Kind, String) {
    let error = within(stage.shims.create(&stage.scope, container, request)).await.expect_err("refused");
    assert!(!stage.bundle("no").exists() && !stage.work("no").exists());
    assert!(!stage.shims.owns(&stage.scope.namespace, "no"));
    (error.kind(), error.text().to_owned())
}

#[tokio::test]
async fn runtimes_that_cannot_be_started() {
    let stage = Stage::new(&Peer::debian()).await;
    let silent = stage.dir.path().join("silent");
    std::fs::write(&silent, "#!/bin/sh\n").expect("write");
    let loud = stage.dir.path().join("loud");
    std::fs::write(&loud, "#!/bin/sh\necho -n 'it is broken' >&2; exit 4\n").expect("write");
    for script in [&silent, &loud] {
        std::fs::set_permissions(script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    }
    let resolve = "failed to start shim: failed to resolve runtime path: ";
    for (runtime, text) in [
        ("".to_owned(), format!("{resolve}no runtime name")),
        (
            "io.gantry-test.none.v1".to_owned(),
            format!(
                "{resolve}runtime \"io.gantry-test.none.v1\" binary not installed \"containerd-shim-none-v1\": file does not exist"
            ),
        ),
        (
            "/no/such".to_owned(),
            format!("{resolve}invalid custom binary path: stat /no/such: no such file or directory"),
        ),
        (
            "/tmp".to_owned(),
            "failed to start shim: start failed: : fork/exec /tmp: permission denied".to_owned(),
        ),
        (
            silent.display().to_string(),
            "failed to start shim: start failed: unexpected protocol: \"\"".to_owned(),
        ),
        (
            loud.display().to_string(),
            "failed to start shim: start failed: it is broken: exit status 4".to_owned(),
        ),
    ] {
        let mut container = stage.container("no", &["/bin/true"]);
        container.runtime.name = runtime;
        assert_eq!(refuse(&stage, &container, &stage.request("no")).await, (Kind::Unknown, text));
    }
    let container = stage.container("no", &["/bin/true"]);
    let request = Create { runtime_path: "/no/such".to_owned(), ..stage.request("no") };
    assert!(refuse(&stage, &container, &request).await.1.contains("/no/such"), "the request's runtime wins");
}

#[tokio::test]
async fn a_shim_that_does_not_come_up_in_time() {
    let mut stage = Stage::new(&Peer::debian()).await;
    stage.limits.start = std::time::Duration::from_millis(200);
    stage.limits.cleanup = std::time::Duration::from_millis(200);
    stage.come_back().await;
    let slow = stage.dir.path().join("slow");
    std::fs::write(&slow, "#!/bin/sh\nsleep 600\n").expect("write");
    std::fs::set_permissions(&slow, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    let mut container = stage.container("no", &["/bin/true"]);
    container.runtime.name = slow.display().to_string();
    let (kind, text) = refuse(&stage, &container, &stage.request("no")).await;
    assert_eq!(kind, Kind::DeadlineExceeded);
    assert_eq!(
        text,
        format!("failed to start shim: start failed: run {}: context deadline exceeded", slow.display())
    );
}

#[tokio::test]
async fn a_shim_that_came_up_for_nothing_ends() {
    for peer in peers() {
        let stage = Stage::new(&peer).await;
        let wrapped = stage.dir.path().join("wrapped");
        // The daemon will not be able to note where the shim listens.
        let script = format!(
            "#!/bin/sh\nfor last; do :; done\n\
             if [ $last = start ] && [ -f bootstrap.json ]; then rm bootstrap.json; mkdir bootstrap.json; fi\n\
             exec {} \"$@\"\n",
            peer.shim.display()
        );
        std::fs::write(&wrapped, script).expect("write");
        std::fs::set_permissions(&wrapped, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("chmod");
        let mut container = stage.container("no", &["/bin/true"]);
        container.runtime.name = wrapped.display().to_string();
        // Elsewhere than a shim of its own does.
        crate::groups::put_in_pod(&mut container);
        let (_, text) = refuse(&stage, &container, &stage.request("no")).await;
        let expected = "failed to start shim: start failed: write ";
        assert!(text.starts_with(expected) && text.ends_with("is a directory"), "{text}");
        crate::stage::until(|| crate::stage::processes(&stage.scope.namespace).is_empty()).await;
        let sockets = || std::fs::read_dir(stage.dir.path().join("s")).into_iter().flatten().count();
        crate::stage::until(|| sockets() == 0).await;
        stage.leave().await;
    }
}

/// As the machine does when it has no memory left: the process that starts the shim is killed, and the shim is there.
#[tokio::test]
async fn a_shim_whose_start_is_killed_ends() {
    for peer in peers().into_iter().filter(|peer| peer.shim == crate::stage::our_shim()) {
        let stage = Stage::new(&peer).await;
        let wrapped = stage.dir.path().join("wrapped");
        let script = format!(
            "#!/bin/sh\nfor last; do :; done\nif [ $last = start ]; then {0} \"$@\"; kill -KILL $$; fi\nexec {0} \"$@\"\n",
            peer.shim.display()
        );
        std::fs::write(&wrapped, script).expect("write");
        std::fs::set_permissions(&wrapped, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("chmod");
        let mut container = stage.container("no", &["/bin/true"]);
        container.runtime.name = wrapped.display().to_string();
        let (kind, text) = refuse(&stage, &container, &stage.request("no")).await;
        assert_eq!(kind, Kind::Unknown);
        assert!(
            text.starts_with("failed to start shim: start failed: ") && text.ends_with(": signal: killed"),
            "{text}"
        );
        crate::stage::until(|| crate::stage::processes(&stage.scope.namespace).is_empty()).await;
        let sockets = || std::fs::read_dir(stage.dir.path().join("s")).into_iter().flatten().count();
        crate::stage::until(|| sockets() == 0).await;
        stage.leave().await;
    }
}

#[tokio::test]
async fn tasks_that_cannot_be_created() {
    for peer in peers() {
        let stage = Stage::new(&peer).await;
        let container = stage.container("no", &["/no/such/program"]);
        let (kind, text) = refuse(&stage, &container, &stage.request("no")).await;
        assert_eq!(kind, Kind::Unknown);
        assert!(text.starts_with("failed to create shim task: OCI runtime create failed: "), "{text}");
        let left = std::fs::read_dir(stage.dir.path().join("runc")).into_iter().flatten().flatten();
        assert_eq!(left.flat_map(|ns| std::fs::read_dir(ns.path())).flatten().count(), 0);

        let mount = Mount { kind: "format/overlay".to_owned(), ..Mount::default() };
        let request = Create { rootfs: vec![mount], ..stage.request("no") };
        let expected = (Kind::NotImplemented, "mount type \"format/overlay\": not implemented".to_owned());
        assert_eq!(refuse(&stage, &container, &request).await, expected);

        std::fs::create_dir_all(stage.bundle("there")).expect("mkdir");
        let error = stage.create("there", &["/bin/true"]).await.expect_err("a bundle is there");
        assert_eq!(error.text(), format!("mkdir {}: file exists", stage.bundle("there").display()));
        assert_eq!(error.kind(), Kind::Unknown);

        stage.run("no").await;
        stage.end("no").await;
        stage.leave().await;
    }
}
