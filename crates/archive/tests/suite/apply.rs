//! Unpacking: GNU tar's archives against GNU tar's own extraction, and the rules of layers.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use archive::apply::{Input, Target, apply};
use archive::compress::{Compression, Compressor};
use archive::tar::{Entry, Kind, Time, Writer};
use rustix::fs::XattrFlags;
use std::io::Write;

use crate::support::{apply_plain, list, run, tar};

/// A tree with everything a layer can hold.
pub fn rich_tree(root: &Path) {
    let path = |name: &str| root.join(name);
    fs::create_dir_all(path("etc/deep/deeper")).unwrap();
    fs::create_dir_all(path("empty")).unwrap();
    fs::write(path("etc/passwd"), "root:x:0:0\n").unwrap();
    fs::write(path("etc/none"), "").unwrap();
    fs::write(path("etc/deep/big"), vec![7u8; 700_001]).unwrap();
    fs::hard_link(path("etc/passwd"), path("etc/deep/passwd2")).unwrap();
    symlink("../etc/passwd", path("etc/link")).unwrap();
    symlink("/nowhere", path("dangling")).unwrap();
    let long = "n".repeat(120);
    fs::write(path(&format!("etc/{long}")), "long").unwrap();
    symlink("t".repeat(150), path("etc/longlink")).unwrap();
    let deep = format!("{}/{}/{}", "a".repeat(90), "b".repeat(90), "c".repeat(90));
    fs::create_dir_all(path(&deep)).unwrap();
    fs::write(path(&format!("{deep}/file")), "deep").unwrap();
    fs::write(path("grüße"), "utf8").unwrap();
    run(Command::new("mkfifo").arg(path("pipe")));
    run(Command::new("mknod").arg(path("null")).args(["c", "1", "3"]));
    run(Command::new("mknod").arg(path("loop")).args(["b", "7", "9"]));
    run(Command::new("chown").args(["1000:2000"]).arg(path("etc/none")));
    run(Command::new("chown").args(["-h", "12:13"]).arg(path("etc/link")));
    run(Command::new("chown").args(["3000000:3000001"]).arg(path("etc/deep/big")));
    run(Command::new("chmod").arg("4755").arg(path("etc/deep/big")));
    run(Command::new("chmod").arg("2770").arg(path("etc/deep")));
    run(Command::new("chmod").arg("1777").arg(path("empty")));
    run(Command::new("chmod").arg("0000").arg(path("etc/none")));
    for (name, time) in
        [("etc/passwd", "@1234567890.5"), ("etc/deep", "@86400"), ("empty", "@5"), ("dangling", "@77")]
    {
        run(Command::new("touch").args(["-h", "-d", time]).arg(path(name)));
    }
    rustix::fs::setxattr(path("etc/passwd"), "user.note", b"a\0b", XattrFlags::empty()).unwrap();
    let capability = [1u8, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    rustix::fs::setxattr(path("etc/deep/big"), "security.capability", &capability, XattrFlags::empty())
        .unwrap();
}

#[test]
fn archives_of_gnu_tar_unpack_as_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir(&source).unwrap();
    rich_tree(&source);
    for format in ["pax", "gnu"] {
        let tarball = dir.path().join(format!("{format}.tar"));
        let mut make = Command::new("tar");
        make.arg("-C")
            .arg(&source)
            .args([&format!("--format={format}"), "--numeric-owner", "-cf"])
            .arg(&tarball);
        let extended = format == "pax";
        make.args(if extended { &["--xattrs", "--xattrs-include=*", "."][..] } else { &["."][..] });
        run(&mut make);
        let (theirs, ours) =
            (dir.path().join(format!("{format}-theirs")), dir.path().join(format!("{format}-ours")));
        fs::create_dir(&theirs).unwrap();
        fs::create_dir(&ours).unwrap();
        let mut extract = Command::new("tar");
        extract.arg("-C").arg(&theirs).args(["--numeric-owner", "--same-owner", "-p", "-xf"]).arg(&tarball);
        if extended {
            extract.args(["--xattrs", "--xattrs-include=*"]);
        }
        run(&mut extract);
        let bytes = fs::read(&tarball).unwrap();
        let applied = apply_plain(&ours, &bytes).unwrap();
        assert_eq!((applied.diff_id, applied.size), (oci::Digest::of(&bytes), bytes.len() as u64));
        assert_eq!(list(&ours), list(&theirs), "{format}");
        assert_eq!(fs::metadata(ours.join("etc/deep/big")).unwrap().uid(), 3_000_000);
    }
}

#[test]
fn sparse_files_keep_their_holes() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("s");
    fs::create_dir(&source).unwrap();
    let file = fs::File::create(source.join("sparse")).unwrap();
    file.set_len(64 << 20).unwrap();
    for (at, byte) in [(0u64, 1u8), (10 << 20, 2), ((64 << 20) - 4096, 3)] {
        std::os::unix::fs::FileExt::write_all_at(&file, &[byte; 4096], at).unwrap();
    }
    fs::write(source.join("after"), "after").unwrap();
    for version in ["0.0", "0.1", "1.0"] {
        let (tarball, out) = (dir.path().join("t"), dir.path().join(version));
        run(Command::new("tar")
            .arg("-C")
            .arg(&source)
            .args(["--format=pax", "--sparse", &format!("--sparse-version={version}"), "-cf"])
            .arg(&tarball)
            .args(["sparse", "after"]));
        let bytes = fs::read(&tarball).unwrap();
        assert!(bytes.len() < 1 << 20);
        fs::create_dir(&out).unwrap();
        apply_plain(&out, &bytes).unwrap();
        assert_eq!(fs::read(out.join("after")).unwrap(), b"after", "{version}");
        assert!(
            fs::read(out.join("sparse")).unwrap() == fs::read(source.join("sparse")).unwrap(),
            "{version}"
        );
        assert!(fs::metadata(out.join("sparse")).unwrap().blocks() < 2048, "{version}: holes are filled");
    }
}

#[test]
fn packed_layers_have_the_digest_of_the_plain_one() {
    let plain = tar(&["d a", "f a/b hello", "l c a/b"]);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut compressor = Compressor::new(Vec::new(), compression).unwrap();
        compressor.write_all(&plain).unwrap();
        let packed = compressor.finish().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let applied = apply_plain(dir.path(), &packed).unwrap();
        assert_eq!((applied.diff_id, applied.size), (oci::Digest::of(&plain), plain.len() as u64));
        assert_eq!(fs::read(dir.path().join("c")).unwrap(), b"hello");
        let target = Target::Directory(dir.path().to_owned());
        let as_plain = apply(&target, &mut &packed[..], Input::Plain);
        assert_eq!(as_plain.is_ok(), compression == Compression::None, "{compression:?}");
    }
}

#[test]
fn rules_of_names_and_kinds() {
    for (entries, want) in [
        (&["f a/b/c x"][..], Ok("a/b/c")),
        (&["d ./", "d /", "f ./x 1"], Ok("x")),
        (&["f x 1", "d x", "f x/y 2"], Ok("x/y")),
        (&["d x", "f x/y 1", "f x 2"], Ok("x")),
        (&["f a 1", "h b a"], Ok("b")),
        (&["f d/a 1", "h d/e/b /d/a"], Ok("d/e/b")),
        (&["l a target", "h b a"], Ok("b")),
        (&["h b nothing"], Err("link")),
        (&["d a", "h b a"], Err("link")),
        (&["f a 1", "h a a"], Err("link")),
        (&["f a 1", "h a ./a"], Err("link")),
        (&["f x/.wh. y"], Err("invalid whiteout name: .wh.: invalid archive")),
        (&["f .wh.. y"], Err("invalid whiteout name")),
        (&["f .wh... y"], Err("invalid whiteout name")),
        (&["f .wh..wh.plnk/x y"], Ok(".wh..wh.plnk/x")),
        (&["f a 1", "f a/b 2"], Err("not a directory")),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let result = apply_plain(dir.path(), &tar(entries)).map_err(|e| e.to_string().to_lowercase());
        match (want, result) {
            (Ok(name), Ok(_)) => assert!(dir.path().join(name).symlink_metadata().is_ok(), "{entries:?}"),
            (Err(text), Err(e)) => assert!(e.contains(text), "{entries:?}: {e}"),
            (want, got) => panic!("{entries:?}: {want:?} {got:?}"),
        }
    }
}

#[test]
fn unknown_types_and_damage_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (flag, text) in [(b'7', "unhandled tar header type 55"), (b'S', "unhandled tar header type 83")] {
        let mut writer = Writer::new(Vec::new());
        writer.append_bytes(&Entry::new(Kind::Other(flag), "x", 0o644), b"").unwrap();
        let bytes = writer.finish().unwrap();
        assert_eq!(apply_plain(dir.path(), &bytes).unwrap_err().to_string(), text);
    }
    let good = tar(&["f a hello"]);
    assert!(apply_plain(dir.path(), &good[..1024]).is_ok(), "cut at an entry's border");
    assert_eq!(apply_plain(dir.path(), &good[..700]).unwrap_err().to_string(), "unexpected EOF");
    assert_eq!(apply_plain(dir.path(), &good[..100]).unwrap_err().to_string(), "unexpected EOF");
    let mut trailing = good.clone();
    trailing.extend_from_slice(b"rubbish after the end");
    let applied = apply_plain(dir.path(), &trailing).unwrap();
    assert_eq!((applied.size, applied.diff_id), (trailing.len() as u64, oci::Digest::of(&trailing)));
    assert_eq!(apply_plain(dir.path(), b"").unwrap().size, 0);
}

#[test]
fn times_that_cannot_be_kept_become_the_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(Vec::new());
    for (name, secs) in [("old", -5), ("new", 1 << 40), ("fine", 1 << 32)] {
        let entry = Entry { mtime: Time { secs, nanos: 0 }, ..Entry::new(Kind::Regular, name, 0o600) };
        writer.append_bytes(&entry, b"").unwrap();
    }
    apply_plain(dir.path(), &writer.finish().unwrap()).unwrap();
    let time = |name: &str| fs::metadata(dir.path().join(name)).unwrap().mtime();
    assert_eq!((time("old"), time("new"), time("fine")), (0, 0, 1 << 32));
}

#[test]
fn a_lost_directory_s_time_goes_to_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(Vec::new());
    let entry =
        |kind, name: &str, secs| Entry { mtime: Time { secs, nanos: 0 }, ..Entry::new(kind, name, 0o755) };
    let link = Entry { link: b"real".to_vec(), ..entry(Kind::Symlink, "c", 7) };
    for entry in [
        entry(Kind::Directory, "x", 5),
        entry(Kind::Regular, "x", 6),
        entry(Kind::Directory, "real/sub", 8),
        entry(Kind::Directory, "c/sub", 9),
        link,
    ] {
        writer.append_bytes(&entry, b"").unwrap();
    }
    apply_plain(dir.path(), &writer.finish().unwrap()).unwrap();
    let time = |name: &str| fs::symlink_metadata(dir.path().join(name)).unwrap().mtime();
    assert_eq!((time("x"), time("c"), time("real/sub")), (6, 7, 8));
}

#[test]
fn kernel_attributes_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(Vec::new());
    for (key, value) in [("trusted.overlay.opaque", "y"), ("bogus.name", "x"), ("user.kept", "z")] {
        let mut entry = Entry::new(Kind::Directory, "d", 0o755);
        entry.xattrs.push((key.into(), value.into()));
        writer.append_bytes(&entry, b"").unwrap();
    }
    let mut link = Entry { link: b"x".to_vec(), ..Entry::new(Kind::Symlink, "l", 0o777) };
    link.xattrs.push((b"user.onlink".to_vec(), b"1".to_vec()));
    writer.append_bytes(&link, b"").unwrap();
    apply_plain(dir.path(), &writer.finish().unwrap()).unwrap();
    let mut names = [0; 512];
    let len = rustix::fs::listxattr(dir.path().join("d"), &mut names[..]).unwrap();
    assert_eq!(&names[..len], b"user.kept\0");
}

#[test]
fn very_deep_trees_need_few_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let deep = ["d"; 900].join("/");
    let back = format!("{deep}/x");
    let words =
        [format!("f {back} 1"), format!("f {} 2", "d/".repeat(300) + "y"), format!("h {deep}/z {back}")];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    apply_plain(dir.path(), &tar(&words)).unwrap();
    assert_eq!(fs::read(dir.path().join(&deep).join("z")).unwrap(), b"1");
    let too_long = format!("f {} 1", "d/".repeat(3000) + "y");
    assert!(apply_plain(dir.path(), &tar(&[&too_long])).is_err());
}
