//! The images the tests run: busybox in two layers, and one static program alone.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::Program;
use crate::image::{Archive, Layer, Recipe};
use crate::tar::Tar;

/// Reference of the busybox image.
pub const BUSYBOX: &str = "example.org/gantry/busybox:1";

/// What `/etc/gantry-release` says in the busybox image.
pub const RELEASE: &str = "one small image\n";

/// Busybox in two layers, the lower one gzip, the upper one removing `/removed` and hiding what `/old` held.
pub fn busybox(name: &str) -> Result<Archive> {
    Ok(busybox_recipe(name)?.bake())
}

/// The recipe of [`busybox`], to be changed before it is baked.
pub fn busybox_recipe(name: &str) -> Result<Recipe> {
    let bytes = static_busybox()?;
    let mut lower = Tar::new();
    for dir in
        ["bin", "dev", "etc", "home", "home/app", "old", "proc", "root", "sys", "tmp", "var", "var/log"]
    {
        lower = lower.dir(dir);
    }
    lower = lower
        .file("bin/busybox", 0o755, &bytes)
        .file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n")
        .file("etc/group", 0o644, "root:x:0:\nbin:x:2:app\napp:x:1000:\n")
        .file("removed", 0o644, "gone in the next layer")
        .file("old/hidden", 0o644, "hidden by the next layer");
    let applets = Program::new("busybox").arg("--list").succeed()?;
    for applet in applets.lines().into_iter().filter(|a| *a != "busybox") {
        lower = lower.symlink(&format!("bin/{applet}"), "busybox");
    }
    let upper = Tar::new()
        .file(".wh.removed", 0o644, "")
        .dir("old")
        .file("old/.wh..wh..opq", 0o644, "")
        .file("old/new", 0o644, "new\n")
        .file("etc/gantry-release", 0o644, RELEASE);
    Ok(Recipe {
        name: name.to_owned(),
        platform: ("linux", architecture()),
        layers: vec![Layer::gzip(lower)?, Layer::plain(upper)],
        config: json!({ "Env": ["PATH=/bin", "GREETING=hello"], "Cmd": ["sh"], "WorkingDir": "/" }),
    })
}

/// An image of one static program, `/hello`, beside busybox when the machine has it.
pub fn hello(name: &str, program: &Path) -> Result<Archive> {
    let bytes = std::fs::read(program).with_context(|| format!("read {}", program.display()))?;
    let mut tar = Tar::new().dir("bin").dir("etc").dir("tmp").file("hello", 0o755, bytes);
    tar = tar.file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n");
    if let Ok(busybox) = static_busybox() {
        tar =
            tar.file("bin/busybox", 0o755, busybox).symlink("bin/sh", "busybox").symlink("bin/ps", "busybox");
    }
    let recipe = Recipe {
        name: name.to_owned(),
        platform: ("linux", architecture()),
        layers: vec![Layer::gzip(tar)?],
        config: json!({ "Env": ["PATH=/bin"], "Cmd": ["/hello"], "WorkingDir": "/" }),
    };
    Ok(recipe.bake())
}

/// The machine's architecture in the words of an image.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn static_busybox() -> Result<Vec<u8>> {
    let path = ["/bin/busybox", "/usr/bin/busybox"].into_iter().map(Path::new).find(|p| p.exists());
    let path = path.context("no busybox on this machine (Debian: busybox-static)")?;
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let interpreter = b"/lib64/ld-linux";
    let dynamic = bytes.windows(interpreter.len()).any(|w| w == interpreter);
    ensure!(!dynamic, "{} is not static (Debian: install busybox-static)", path.display());
    Ok(bytes)
}
