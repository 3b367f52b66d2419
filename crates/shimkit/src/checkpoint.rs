//! Dumping a container with criu, through another runtime; the embedded one cannot.

use model::{Error, Result};

use crate::container::Checkpoint;
use crate::program::Program;
use crate::site::{Runtime, Site};

/// Dumps the container. The caller is a forked child.
pub fn dump(site: &Site, wanted: &Checkpoint) -> Result<()> {
    let Runtime::Program(name) = &site.runtime else {
        return Err(Error::not_implemented(
            "checkpoint by the embedded runtime; set the option binary_name to runc",
        ));
    };
    let program = Program { name, site };
    let options = &wanted.options;
    let work = match options.work_path.as_str() {
        "" => site.bundle.join("work"),
        path => path.into(),
    };
    let image = if options.image_path.is_empty() { &wanted.path } else { &options.image_path };
    let mut command = program.command("checkpoint");
    for (flag, wanted) in [
        ("--leave-running", !options.exit),
        ("--tcp-established", options.open_tcp),
        ("--ext-unix-sk", options.external_unix_sockets),
        ("--shell-job", options.terminal),
        ("--file-locks", options.file_locks),
    ] {
        if wanted {
            command.arg(flag);
        }
    }
    if !options.cgroups_mode.is_empty() {
        command.args(["--manage-cgroups-mode", &options.cgroups_mode]);
    }
    for namespace in &options.empty_namespaces {
        command.args(["--empty-ns", namespace]);
    }
    command.args(["--image-path", image]).arg("--work-path").arg(&work).arg(&site.id);
    program.run(&mut command).map(drop).map_err(|e| {
        let log = site.bundle.join("criu-dump.log");
        // Without a log there is nothing to copy; the text below names the place all the same.
        let _ = std::fs::copy(work.join("dump.log"), &log);
        let first = e.text().lines().next().unwrap_or_default().to_owned();
        Error::unknown(format!("{first} path= {}", log.display()))
    })
}
