//! The words of `content`, `snapshots` and `leases`, with what they are asked in vain.

use anyhow::{Context, Result, ensure};
use e2e::image::digest_of;
use e2e::registry::{PASSWORD, Registry, Settings, USERNAME};
use e2e::samples::{self, BUSYBOX};
use e2e::{Client, Daemon, Finished, Kind};
use serde_json::{Value, json};

scenarios!(
    ingests,
    labels_and_removals,
    edits,
    fetches,
    objects,
    references_pruned,
    snapshots_made_and_committed,
    snapshots_told_of,
    differences,
    unpacked_by_digest,
    leases,
    deprecations,
);

/// A digest that nothing has.
const NOTHING: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// How an image is fetched.
const FETCH: &[&str] = &["content", "fetch", "--plain-http"];

/// Busybox; and the digest of its manifest.
fn busybox(daemon: &Daemon) -> Result<String> {
    let archive = samples::busybox(BUSYBOX)?;
    daemon.import(&archive)?;
    Ok(archive.manifest()["digest"].as_str().unwrap_or_default().to_owned())
}

/// Lets a blob hold another one, which need not be there yet; then the collector leaves that alone.
fn hold(daemon: &Daemon, by: &str, digest: &str) -> Result<()> {
    let label = format!("containerd.io/gc.ref.content.held-{}={digest}", &digest[7..19]);
    daemon.ok(&["content", "label", by, &label]).map(drop)
}

fn ingest(daemon: &Daemon, flags: &[&str], bytes: &str) -> Result<Finished> {
    daemon.client(&[&["content", "ingest"], flags].concat()).stdin(bytes).run()
}

/// What `snapshots ls` says, without the key's column.
fn kind_of(daemon: &Daemon, key: &str) -> Result<String> {
    let listed = daemon.ok(&["snapshots", "ls"])?;
    Ok(listed.row(key)?.last().copied().unwrap_or_default().to_owned())
}

fn document(printed: &Finished) -> Result<Value> {
    serde_json::from_str(&printed.stdout).with_context(|| format!("no JSON: {printed}"))
}

/// The names in a layer.
fn names(layer: &[u8], flags: &str) -> Result<Vec<String>> {
    let listed = e2e::Program::new("tar").arg(flags).stdin(layer).succeed()?;
    Ok(listed.lines().into_iter().map(String::from).collect())
}

/// `content ingest`: right, wrong, again, resumed.
fn ingests(daemon: Daemon) -> Result<()> {
    let manifest = busybox(&daemon)?;
    let digest = digest_of(b"some bytes\n");
    hold(&daemon, &manifest, &digest)?;
    ingest(&daemon, &["one"], "some bytes\n")?.with_code(0)?;
    ensure!(daemon.ok(&["content", "get", &digest])?.stdout == "some bytes\n");
    for flags in [&["one"][..], &["--expected-digest", &digest, "--expected-size", "11", "two"]] {
        ingest(&daemon, flags, "some bytes\n")?.with_code(0)?;
    }
    ensure!(daemon.ok(&["content", "active"])?.rows().is_empty(), "an ingest is left");

    let wrong = ingest(&daemon, &["--expected-size", "4", "size"], "other bytes\n")?.with_code(1)?;
    wrong.warns("failed size validation: 12 != 4")?;
    let wrong = ingest(&daemon, &["--expected-digest", NOTHING, "digest"], "other bytes\n")?.with_code(1)?;
    wrong.warns(&format!("unexpected commit digest {}", digest_of(b"other bytes\n")))?;
    ingest(&daemon, &["--expected-digest", "nonsense", "x"], "")?
        .with_code(1)?
        .warns("invalid checksum digest format")?;
    ensure!(ingest(&daemon, &[], "")?.code != 0, "no ref, no ingest");
    let active = daemon.ok(&["content", "active"])?;
    ensure!(active.row("size")?[1] == "12B" && active.row("digest")?[1] == "12B", "{active}");
    let one = daemon.ok(&["content", "active", "ref==size"])?;
    ensure!(one.rows().len() == 1, "{one}");

    let whole = digest_of(b"other bytes\nand more\n");
    hold(&daemon, &manifest, &whole)?;
    ingest(&daemon, &["digest"], "other bytes\nand more\n")?.with_code(0)?;
    ensure!(daemon.ok(&["content", "get", &whole])?.stdout == "other bytes\nand more\n");
    daemon.finish()
}

/// `content label` and `content rm`.
fn labels_and_removals(daemon: Daemon) -> Result<()> {
    let digest = busybox(&daemon)?;
    let label = |labels: &[&str]| daemon.ok(&[&["content", "label", &digest], labels].concat());
    label(&["colour=red", "size=small", "loud"])?.says(&["colour=red", "size=small", "loud=true"])?;
    let left = label(&["colour="])?.says(&["size=small"])?;
    ensure!(!left.stdout.contains("colour"), "{left}");
    ensure!(label(&[])?.stdout.contains("size=small"), "no labels, only a look");
    daemon.refuses(&["content", "label", NOTHING, "a=b"], &[NOTHING, "not found"])?;
    daemon.refuses(&["content", "label", "nonsense", "a=b"], &["invalid checksum digest format"])?;

    daemon.refuses(&["content", "get", NOTHING], &["not found"])?;
    daemon.refuses(&["content", "rm", "nonsense"], &["invalid checksum digest format"])?;
    ensure!(daemon.ok(&["content", "rm", NOTHING])?.lines().is_empty(), "what is gone is gone");
    ensure!(daemon.ok(&["content", "delete", &digest])?.lines() == [digest.as_str()]);
    daemon.refuses(&["content", "get", &digest], &["not found"])?;
    daemon.finish()
}

/// `content edit`: what the editor makes of a blob, and what it may not make of it.
fn edits(daemon: Daemon) -> Result<()> {
    let manifest = busybox(&daemon)?;
    let (digest, after) = (digest_of(b"before\n"), digest_of(b"before\nand after\n"));
    hold(&daemon, &manifest, &digest)?;
    hold(&daemon, &manifest, &after)?;
    ingest(&daemon, &["one"], "before\n")?.with_code(0)?;
    let append = "sh -c 'echo and after >> \"$0\"'";
    let edit = |editor: &str| daemon.client(&["content", "edit", "--editor", editor, &digest]).run();
    ensure!(edit(append)?.with_code(0)?.lines() == [after.as_str()]);
    ensure!(daemon.ok(&["content", "get", &after])?.stdout == "before\nand after\n");
    ensure!(daemon.ok(&["content", "get", &digest])?.stdout == "before\n");
    edit("true")?.with_code(1)?.warns("exists")?;
    edit("exit 7;")?.with_code(7)?;
    edit("/no/such/editor")?.with_code(127)?.warns("not found")?;
    daemon.client(&["content", "edit", &digest]).env("EDITOR", "").refuse(&["editor is required"])?;
    daemon.client(&["content", "edit", &digest]).env("EDITOR", append).run()?;
    daemon.refuses(&["content", "edit", "--editor", "true", NOTHING], &["not found"])?;
    daemon.refuses(&["content", "edit", "--validate", "json", &digest], &["not supported"])?;
    daemon.finish()
}

/// `content fetch`: an image, packed; without its layers it is not to be had from `gantry`, which says so.
fn fetches(daemon: Daemon) -> Result<()> {
    let registry = Registry::start()?;
    let archive = samples::busybox(BUSYBOX)?;
    registry.fill(&archive, "team/one:1")?;
    let one = registry.reference("team/one:1");
    daemon.ok(&[FETCH, &["--label", "colour=red", &one]].concat())?;
    let content = daemon.ok(&["content", "ls"])?;
    for blob in &archive.blobs {
        content.row(&blob.digest)?;
    }
    ensure!(daemon.ok(&["snapshots", "ls"])?.rows().is_empty(), "it is unpacked");
    ensure!(daemon.ok(&["images", "ls"])?.row(&one)?.last() == Some(&"colour=red"));
    ensure!(daemon.ok(&["leases", "ls", "-q"])?.lines().is_empty(), "a lease is left");
    daemon.ok(&["run", "--rm", &one, "one", "cat", "/etc/gantry-release"])?.says(&[samples::RELEASE])?;
    daemon.refuses(&[FETCH, &[&registry.reference("team/none:1")]].concat(), &["not found"])?;
    daemon.refuses(&[FETCH, &["--platform", "no/such/thing/at/all", &one]].concat(), &[])?;
    if daemon.whose_client() == Client::Gantry {
        daemon.refuses(&[FETCH, &["--metadata-only", &one]].concat(), &["--metadata-only is not offered"])?;
    }
    daemon.finish()
}

/// `content fetch-object`, `fetch-blob` and `push-object`: the same bytes whoever asks, and the same image there.
fn objects(daemon: Daemon) -> Result<()> {
    let registry = Registry::start_with(&Settings { passwords: true, ..Settings::default() })?;
    let archive = samples::busybox(BUSYBOX)?;
    registry.fill(&archive, "team/one:1")?;
    let (one, two) = (registry.reference("team/one:1"), registry.reference("team/two:2"));
    let ada = format!("{USERNAME}:{PASSWORD}");
    let with = |verb: &str, words: &[&str]| {
        let flags = ["content", verb, "--plain-http", "--user", &ada];
        daemon.client(&[&flags[..], words].concat())
    };
    let digest = archive.manifest()["digest"].as_str().unwrap_or_default();
    let bytes =
        |digest: &str| archive.blobs.iter().find(|blob| blob.digest == digest).map(|blob| blob.bytes.clone());
    let object = with("fetch-object", &[&one, "x"]).succeed()?;
    ensure!(Some(&object.bytes) == bytes(digest).as_ref(), "{object}");
    let layer = &archive.blobs[0];
    let blob = with("fetch-blob", &[&one, &layer.digest]).succeed()?;
    ensure!(blob.bytes == layer.bytes, "{} bytes", blob.bytes.len());
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = with("fetch-blob", &["--media-type", media_type, &one, digest]).succeed()?;
    ensure!(manifest.bytes == object.bytes, "{manifest}");
    with("fetch-blob", &[&one, NOTHING]).refuse(&[NOTHING])?;
    daemon
        .refuses(&["content", "fetch-object", "--plain-http", &one, "x"], &["no basic auth credentials"])?;

    daemon.import(&archive)?;
    for blob in archive.blobs.iter().filter(|blob| blob.digest != digest) {
        with("push-object", &[&two, &blob.digest, "application/octet-stream"]).succeed()?;
    }
    with("push-object", &[&two, digest, media_type]).succeed()?.says(&["Pushed", digest])?;
    ensure!(with("fetch-object", &[&two, "x"]).succeed()?.bytes == object.bytes);
    daemon.finish()
}

/// `content prune references`: the layers go, the image still runs.
fn references_pruned(daemon: Daemon) -> Result<()> {
    let manifest = busybox(&daemon)?;
    daemon.collected_census()?;
    let before = daemon.ok(&["content", "ls", "-q"])?;
    let dry = daemon.ok(&["content", "prune", "references", "--dry"])?;
    // The real client writes it to its log.
    let said = format!("{}{}", dry.stdout, dry.stderr);
    ensure!(["l.0", "l.1"].iter().all(|l| said.contains(&format!("gc.ref.content.{l}"))), "{dry}");
    ensure!(said.contains(&manifest) && !said.contains("content.config"), "{dry}");
    ensure!(daemon.ok(&["content", "ls", "-q"])?.stdout == before.stdout, "a dry run changes nothing");
    daemon.ok(&["content", "prune", "references"])?;
    let after = daemon.ok(&["content", "ls"])?;
    ensure!(after.rows().len() == 2 && after.row(&manifest).is_ok(), "manifest and config stay: {after}");
    ensure!(!after.stdout.contains("gc.ref.content.l."), "{after}");
    daemon.ok(&["run", "--rm", BUSYBOX, "one", "true"])?;
    daemon.ok(&["content", "prune", "references", "--async"])?;
    ensure!(daemon.ok(&["leases", "ls", "-q"])?.lines().is_empty(), "a lease is left");
    daemon.finish()
}

/// The mount commands of a snapshot, run.
fn mounted(commands: &Finished, act: impl FnOnce() -> Result<()>, at: &str) -> Result<()> {
    for command in commands.lines() {
        e2e::Program::new("sh").args(["-c", command]).succeed()?;
    }
    let done = act();
    e2e::Program::new("umount").arg(at).succeed()?;
    done
}

/// `snapshots prepare`, `view`, `mounts`, `commit`: a small tree, and every way to get it wrong.
fn snapshots_made_and_committed(daemon: Daemon) -> Result<()> {
    let at = daemon.dir().join("mnt");
    std::fs::create_dir_all(&at)?;
    let at = at.to_string_lossy();
    let snapshots = |words: &[&str]| daemon.ok(&[&["snapshots"], words].concat());
    let prepared =
        snapshots(&["prepare", "--target", &at, "work"])?.says(&["mount -t bind ", " -o rw,rbind"])?;
    let write = || Ok(std::fs::write(format!("{at}/file"), "words\n")?);
    mounted(&prepared, write, &at)?;
    daemon.refuses(&["snapshots", "prepare", "work"], &["work", "already exists"])?;
    daemon.refuses(&["snapshots", "prepare", "next", "nope"], &["nope", "not found"])?;
    daemon.refuses(&["snapshots", "prepare", "next", "work"], &["not committed"])?;
    daemon.refuses(&["snapshots", "commit", "base", "nope"], &["nope", "not found"])?;
    ensure!(snapshots(&["commit", "base", "work"])?.stdout.is_empty());
    ensure!(kind_of(&daemon, "base")? == "Committed");

    // Nothing holds a view until it is labelled; no collection may be due meanwhile.
    daemon.collected_census()?;
    let view = snapshots(&["view", "-t", &at, "look", "base"])?.says(&["mount -t ", "ro"])?;
    snapshots(&["label", "look", "containerd.io/gc.root=now"])?;
    let read = || {
        ensure!(std::fs::read_to_string(format!("{at}/file"))? == "words\n");
        ensure!(std::fs::write(format!("{at}/file"), "x").is_err(), "a view is read-only");
        Ok(())
    };
    mounted(&view, read, &at)?;
    let again = snapshots(&["mounts", &at, "look"])?;
    ensure!(again.stdout == view.stdout, "{again}");
    daemon.refuses(&["snapshots", "view", "look", "base"], &["already exists"])?;
    daemon.refuses(&["snapshots", "commit", "other", "look"], &["is not active"])?;
    daemon.refuses(&["snapshots", "mounts", &at, "base"], &["not active"])?;
    daemon.refuses(&["snapshots", "mounts", &at, "nope"], &["not found"])?;

    let mounts = document(&snapshots(&["prepare", "--mounts", "over", "base"])?)?;
    ensure!(mounts[0]["Type"] == "overlay" && mounts[0]["Source"] == "overlay", "{mounts}");
    let options = mounts[0]["Options"].as_array().context("no options")?;
    ensure!(options.iter().any(|o| o.as_str().is_some_and(|o| o.starts_with("upperdir="))), "{mounts}");
    daemon.refuses(&["snapshots", "commit", "base", "over"], &["base", "already exists"])?;
    daemon.refuses(&["snapshots", "rm", "base"], &["base"])?;
    snapshots(&["rm", "over", "look"])?;
    snapshots(&["delete", "base"])?;
    ensure!(snapshots(&["ls"])?.rows().is_empty());
    daemon.finish()
}

/// How many bytes an empty directory has on this disk.
fn empty(daemon: &Daemon) -> Result<u64> {
    let dir = daemon.dir().join("empty");
    std::fs::create_dir(&dir)?;
    Ok(std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&dir)?) * 512)
}

/// `snapshots info`, `label`, `usage`.
fn snapshots_told_of(daemon: Daemon) -> Result<()> {
    let snapshots = |words: &[&str]| daemon.ok(&[&["snapshots"], words].concat());
    snapshots(&["prepare", "work"])?;
    snapshots(&["commit", "base", "work"])?;
    snapshots(&["prepare", "top", "base"])?;
    let base = document(&snapshots(&["info", "base"])?)?;
    ensure!(base["Kind"] == "Committed" && base["Name"] == "base" && base.get("Parent").is_none(), "{base}");
    ensure!(base["Labels"]["containerd.io/gc.root"].is_string() && base["Created"].is_string(), "{base}");
    let top = document(&snapshots(&["info", "top"])?)?;
    ensure!(top["Kind"] == "Active" && top["Parent"] == "base", "{top}");
    daemon.refuses(&["snapshots", "info", "nope"], &["nope", "not found"])?;

    snapshots(&["label", "top", "colour=red", "loud"])?.says(&["colour=red", "loud=true", "gc.root="])?;
    let left = snapshots(&["label", "top", "colour="])?.says(&["loud=true"])?;
    ensure!(!left.stdout.contains("colour"), "{left}");
    daemon.refuses(&["snapshots", "label", "nope", "a=b"], &["nope", "not found"])?;

    let all = snapshots(&["usage"])?;
    ensure!(all.lines()[0].split_whitespace().eq(["KEY", "SIZE", "INODES"]), "{all}");
    ensure!(all.row("base")?.last() == Some(&"1") && all.row("top").is_ok(), "{all}");
    let empty = empty(&daemon)?;
    if empty == 4096 {
        ensure!(all.row("base")?[1..] == ["4.0", "KiB", "1"], "{all}");
    }
    let one = snapshots(&["usage", "-b", "base"])?;
    ensure!(one.rows() == [["base", &*empty.to_string(), "1"]], "{one}");
    daemon.refuses(&["snapshots", "usage", "nope"], &["nope", "not found"])?;
    daemon.refuses(&["snapshots", "--snapshotter", "nope", "ls"], &["nope"])?;
    daemon.finish()
}

/// `snapshots diff`: of one and its parent, of two, kept, refused.
fn differences(daemon: Daemon) -> Result<()> {
    busybox(&daemon)?;
    let listed = daemon.ok(&["snapshots", "ls"])?;
    let rows = listed.rows();
    let upper = rows.iter().find(|r| r.len() == 3).context("no snapshot with a parent")?;
    let (upper, lower) = (upper[0], upper[1]);
    const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

    let own = daemon.ok(&["snapshots", "diff", upper])?;
    let own = names(&own.bytes, "-tz")?;
    ensure!(own.contains(&"etc/gantry-release".into()) && own.contains(&".wh.removed".into()), "{own:?}");
    let whole = daemon.ok(&["snapshots", "diff", "--media-type", TAR, lower])?;
    ensure!(names(&whole.bytes, "-t")?.contains(&"bin/busybox".into()));
    let back = daemon.ok(&["snapshots", "diff", "--media-type", TAR, upper, lower])?;
    let back = names(&back.bytes, "-t")?;
    ensure!(back.contains(&"removed".into()) && back.contains(&"etc/.wh.gantry-release".into()), "{back:?}");
    daemon.ok(&["snapshots", "prepare", "work", upper])?;
    let none = daemon.ok(&["snapshots", "diff", "--media-type", TAR, "work"])?;
    ensure!(names(&none.bytes, "-t")?.is_empty(), "nothing was written");

    let keep = ["snapshots", "diff", "--keep", "--ref", "mine", "--label", "colour=red", upper];
    let kept = digest_of(&daemon.ok(&keep)?.bytes);
    daemon.collected_census()?;
    let content = daemon.ok(&["content", "ls"])?;
    let row = content.row(&kept)?.join(" ");
    ensure!(row.contains("colour=red") && row.contains("gc.root="), "{row}");
    daemon.refuses(&["snapshots", "diff", "nope"], &["nope", "not found"])?;
    daemon.refuses(&["snapshots", "diff", lower, "nope"], &["nope", "not found"])?;
    daemon.refuses(&["snapshots", "diff", "--media-type", "foo", lower], &["foo"])?;
    ensure!(daemon.ok(&["snapshots", "ls"])?.rows().len() == 3, "a view is left");
    ensure!(daemon.ok(&["leases", "ls", "-q"])?.lines().is_empty(), "a lease is left");
    daemon.finish()
}

/// `snapshots unpack`.
fn unpacked_by_digest(daemon: Daemon) -> Result<()> {
    let archive = samples::busybox(BUSYBOX)?;
    let path = daemon.dir().join("image.tar");
    archive.write(&path)?;
    daemon.ok(&["images", "import", "--no-unpack", &path.to_string_lossy()])?;
    ensure!(daemon.ok(&["snapshots", "ls"])?.rows().is_empty());
    let digest = archive.manifest()["digest"].as_str().unwrap_or_default().to_owned();
    daemon.ok(&["snapshots", "unpack", &digest])?.says(&["unpacking", &digest, "done"])?;
    ensure!(daemon.ok(&["snapshots", "ls"])?.rows().len() == 2);
    daemon.ok(&["snapshots", "unpack", &digest])?;
    daemon.ok(&["run", "--rm", BUSYBOX, "one", "true"])?;
    daemon.refuses(&["snapshots", "unpack", NOTHING], &["manifest not found"])?;
    daemon.refuses(&["snapshots", "unpack", "nonsense"], &["invalid checksum digest format"])?;
    daemon.finish()
}

/// `leases create` and `leases rm`. (What a lease holds: `compat/client`, for no word here puts anything under one.)
fn leases(daemon: Daemon) -> Result<()> {
    ensure!(daemon.ok(&["leases", "create", "--id", "one", "colour=red"])?.lines() == ["one"]);
    daemon.refuses(&["leases", "create", "--id", "one"], &["one", "already exists"])?;
    let made = daemon.ok(&["leases", "create", "-x", "0"])?;
    let made = made.lines()[0];
    ensure!(
        made.split_once('-').is_some_and(|(time, tail)| time.parse::<u32>().is_ok() && tail.len() == 4),
        "{made}"
    );
    daemon.ok(&["leases", "create", "--id", "short", "--expires", "10m"])?;
    daemon.refuses(&["leases", "create", "--expires", "soon"], &["soon"])?;
    let listed = daemon.ok(&["leases", "ls"])?;
    let labels =
        |id: &str| Ok::<_, anyhow::Error>(listed.row(id)?.last().copied().unwrap_or_default().to_owned());
    ensure!(labels("one")?.starts_with("colour=red,containerd.io/gc.expire="), "{listed}");
    ensure!(labels(made)? == "-" && labels("short")?.starts_with("containerd.io/gc.expire="), "{listed}");
    ensure!(daemon.ok(&["leases", "rm", "one"])?.lines() == ["one"]);
    daemon.refuses(&["leases", "rm", "one"], &["one", "not found"])?;
    ensure!(daemon.ok(&["leases", "rm", "--sync", made, "short"])?.lines() == [made, "short"]);
    ensure!(daemon.ok(&["leases", "ls", "-q"])?.lines().is_empty());
    daemon.finish()
}

/// With `--output json` every word that tells something tells it in JSON.
#[test]
fn in_json() -> Result<()> {
    let daemon = crate::start(Client::Gantry)?;
    let manifest = busybox(&daemon)?;
    let asked = |words: &[&str]| document(&daemon.ok(&[&["--output", "json"], words].concat())?);
    let is = |found: Value, expected: Value| {
        ensure!(found == expected, "{found} instead of {expected}");
        Ok(())
    };
    let digest = digest_of(b"");
    hold(&daemon, &manifest, &digest)?;
    is(asked(&["content", "ingest", "none"])?, json!({ "ref": "none", "digest": digest }))?;
    is(asked(&["content", "ingest", "none"])?, json!({ "ref": "none", "digest": digest }))?;
    is(asked(&["content", "label", &digest, "a=b"])?, json!({ "a": "b" }))?;
    ingest(&daemon, &["--expected-size", "9", "begun"], "begun")?.with_code(1)?;
    let begun = asked(&["content", "active"])?;
    ensure!(begun[0]["ref"] == "begun" && begun[0]["offset"] == 5 && begun[0]["total"] == 9, "{begun}");
    let pruned = asked(&["content", "prune", "references", "--dry"])?;
    ensure!(pruned[0]["digest"] == *manifest && pruned[0]["labels"].as_array().map(Vec::len) == Some(2));

    let bind = asked(&["snapshots", "prepare", "work"])?;
    ensure!(bind[0]["Type"] == "bind", "{bind}");
    is(asked(&["snapshots", "mounts", "/mnt", "work"])?, bind)?;
    is(
        asked(&["snapshots", "usage", "work"])?,
        json!([{ "key": "work", "size": empty(&daemon)?, "inodes": 1 }]),
    )?;
    ensure!(asked(&["snapshots", "label", "work", "a=b"])?["a"] == "b");
    ensure!(asked(&["snapshots", "unpack", &manifest])?["digest"] == *manifest);
    let lease = asked(&["leases", "create", "--id", "one", "-x", "0", "a=b"])?;
    ensure!(lease["id"] == "one" && lease["labels"] == json!({ "a": "b" }), "{lease}");
    is(asked(&["deprecations", "list"])?, asked(&["info"])?["server"]["deprecations"].clone())?;
    daemon.finish()
}

/// `deprecations list`: a table or JSON, and no warnings beside it.
fn deprecations(daemon: Daemon) -> Result<()> {
    let info = document(&daemon.ok(&["info"])?)?;
    let known = info["server"]["deprecations"].as_array().cloned().unwrap_or_default();
    let listed = daemon.client(&["deprecations", "list"]).env("CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS", "");
    let listed = listed.succeed()?;
    ensure!(listed.rows().len() == known.len() && listed.stderr.is_empty(), "{listed}");
    if daemon.kind() == Kind::Gantry {
        ensure!(known.is_empty() && listed.stdout.is_empty(), "{listed}");
    }
    let format = daemon.ok(&["deprecations", "list", "--format", "json"])?;
    // The real client prints nothing for nothing, in JSON too.
    if daemon.whose_client() == Client::Gantry || !known.is_empty() {
        ensure!(document(&format)?.as_array().map(Vec::len) == Some(known.len()), "{format}");
    }
    daemon.finish()
}
