//! Pulling and unpacking a large image of four layers from a registry on this machine.

use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::image::{Archive, LAYER_GZIP, Layer, Recipe, digest_of};
use e2e::registry::Registry;
use e2e::samples::architecture;
use e2e::tar::Tar;
use e2e::{Daemon, Kind, Start};

use crate::Entrant;
use crate::stage::{self, NewDisk};
use crate::table::{Column, Row};

const LAYERS: usize = 4;
const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// How often each image is pulled by each daemon.
const TIMES: usize = 3;

/// Pulls an image of `size` bytes, unpacked, with everybody in turns: fresh daemons on new file systems, so that nobody finds
/// anything.
pub fn compare(size: usize, entrants: &[Entrant]) -> Result<Vec<Column>> {
    let registry = Registry::start()?;
    for (name, media_type) in [("gzip", LAYER_GZIP), ("zstd", LAYER_ZSTD)] {
        let archive = bake(size / LAYERS, media_type)?;
        let packed: usize = archive.blobs.iter().map(|blob| blob.bytes.len()).sum();
        println!(
            "an image of {} MB in {LAYERS} layers, {} MB as {name}",
            size / 1_000_000,
            packed / 1_000_000
        );
        registry.fill(&archive, &format!("bench/{name}:1"))?;
    }
    let mut columns: Vec<Column> = entrants.iter().map(|(_, _, title)| Column::new(title)).collect();
    for time in 0..TIMES {
        for place in 0..entrants.len() {
            let place = if time % 2 == 0 { place } else { entrants.len() - 1 - place };
            let (kind, dist, _) = &entrants[place];
            let disk = NewDisk::mount()?;
            let root = Some(disk.path().to_owned());
            let daemon = Daemon::start_with(Start { root, ..stage::start(*kind, dist.clone()) })?;
            for (row, name) in [(Row::PullGzip, "gzip"), (Row::PullZstd, "zstd")] {
                columns[place].add_number(row, pull(&daemon, &registry, name)?.as_secs_f64());
            }
            daemon.finish()?;
            disk.unmount()?;
        }
    }
    Ok(columns)
}

fn pull(daemon: &Daemon, registry: &Registry, name: &str) -> Result<Duration> {
    let reference = registry.reference(&format!("bench/{name}:1"));
    // Debian's client does not ask whether the registry speaks plain HTTP.
    let plain: &[&str] = if daemon.kind() == Kind::Debian { &["--plain-http"] } else { &[] };
    let mut words = vec!["images", "pull"];
    words.extend(plain);
    words.push(&reference);
    let begun = Instant::now();
    daemon.client(&words).deadline(Duration::from_secs(300)).succeed()?;
    let spent = begun.elapsed();
    daemon.ok(&["images", "rm", "--sync", &reference])?;
    Ok(spent)
}

fn bake(size: usize, media_type: &'static str) -> Result<Archive> {
    let mut layers = Vec::new();
    for number in 0..LAYERS {
        let tar = files(number as u64, size).finish();
        let diff_id = digest_of(&tar);
        let bytes = match media_type {
            LAYER_ZSTD => zstd::encode_all(&tar[..], 3)?,
            _ => gzip(&tar)?,
        };
        layers.push(Layer { media_type, bytes, diff_id });
    }
    let name = format!("example.org/bench/{media_type}:1");
    let config = serde_json::json!({ "Cmd": ["true"] });
    Ok(Recipe { name, platform: ("linux", architecture()), layers, config }.bake())
}

fn gzip(tar: &[u8]) -> Result<Vec<u8>> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(tar)?;
    Ok(encoder.finish()?)
}

/// Files of 4 to 260 KiB, about a third of each not to be compressed, as programs and libraries are.
fn files(seed: u64, size: usize) -> Tar {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut tar = Tar::new().dir(&format!("layer-{seed}"));
    let (mut left, mut number) = (size, 0);
    while left > 0 {
        if number % 100 == 0 {
            tar = tar.dir(&format!("layer-{seed}/{}", number / 100));
        }
        let length = (4096 + (random() % 262_144) as usize).min(left);
        let mut data = Vec::with_capacity(length + 96);
        while data.len() < length {
            (0..4).for_each(|_| data.extend_from_slice(&random().to_le_bytes()));
            data.extend_from_slice(b"the same words again, sixty-four bytes of them, in every block. ");
        }
        data.truncate(length);
        tar = tar.file(&format!("layer-{seed}/{}/{number}", number / 100), 0o644, data);
        left -= length;
        number += 1;
    }
    tar
}
