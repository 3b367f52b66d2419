//! `run`: exit codes, streams, terminals, and the flags that shape a container.

use anyhow::{Context, Result, ensure};
use e2e::samples::{BUSYBOX, RELEASE};
use e2e::terminal::OnTerminal;
use e2e::{Client, Daemon, Finished, Program};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

scenarios!(
    exit_code_and_streams,
    standard_input,
    a_terminal,
    layers_and_namespaces,
    flags,
    mounts,
    limits,
    a_rootfs,
    logs,
    fifos_go,
    a_copied_snapshot,
    a_user_namespace
);

fn sh(daemon: &Daemon, flags: &[&str], script: &str) -> Result<Finished> {
    let mut args = vec!["run", "--rm"];
    args.extend(flags);
    args.extend([BUSYBOX, "one", "sh", "-c", script]);
    daemon.client(&args).run()
}

/// The container's exit code is the client's; the two streams stay apart; nothing is left.
fn exit_code_and_streams(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let before = daemon.census();
    for code in [0, 7, 255] {
        let ran = sh(&daemon, &[], &format!("echo out; echo err >&2; exit {code}"))?.with_code(code)?;
        ensure!(ran.stdout == "out\n" && ran.stderr == "err\n", "{ran}");
    }
    // The first process of a pid namespace is deaf to its own SIGKILL; a child of it is not.
    sh(&daemon, &[], "sh -c 'kill -KILL $$'; exit $?")?.with_code(137)?;
    let big = sh(&daemon, &[], "yes 0123456789abcde | head -c 4000000")?.with_code(0)?;
    ensure!(big.bytes.len() == 4_000_000, "{} bytes came through", big.bytes.len());
    daemon.nothing_since(&before)?;
    daemon.finish()
}

/// What the client reads reaches the container, and so does its end.
fn standard_input(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let mut cat = daemon.follow(&["run", "--rm", BUSYBOX, "one", "sh", "-c", "cat; echo end"])?;
    cat.input("first\n")?;
    cat.line_with(&["first"])?;
    cat.input("second\n")?;
    cat.line_with(&["second"])?;
    cat.close_input();
    cat.line_with(&["end"])?;
    ensure!(cat.finish()? == 0);
    daemon.finish()
}

/// `-t`: a terminal of the size of the client's, which comes to it a moment after the start.
fn a_terminal(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let client = daemon.whose_client();
    let run = |script: &str| daemon.client(&["run", "--rm", "-t", BUSYBOX, "one", "sh", "-c", script]);
    let script = "tty; until stty size 2>/dev/null | grep 33; do :; done; echo $TERM";
    in_terminal(client, run, (script, 5), &["/dev/pts/0", "33 77", "xterm"])?;
    daemon.ok(&["run", "-d", BUSYBOX, "two", "sleep", "1000"])?;
    let exec =
        |script: &str| daemon.client(&["tasks", "exec", "-t", "--exec-id", "e", "two", "sh", "-c", script]);
    let script = "test -t 0 && until stty size 2>/dev/null | grep 33; do :; done";
    in_terminal(client, exec, (script, 4), &["33 77"])?;
    daemon.ok(&["tasks", "rm", "-f", "two"])?;
    daemon.ok(&["containers", "rm", "two"])?;
    daemon.finish()
}

/// Runs a shell's script, which is to end with a code, in a terminal of 33 rows and 77 columns, and insists on what is
/// seen.
pub(crate) fn in_terminal(
    client: Client,
    program: impl Fn(&str) -> Program,
    (script, code): (&str, i32),
    lines: &[&str],
) -> Result<()> {
    // The real `ctr` lets go of a terminal as soon as it hears of the exit, and what it has not read by then is lost: what
    // it runs ends when all has been seen.
    let waits = client == Client::Ctr;
    let end = if waits { format!("read seen; exit {code}") } else { format!("exit {code}") };
    let mut terminal = OnTerminal::start(program(&format!("{script}; {end}")), (77, 33))?;
    if waits {
        terminal.until(lines.last().context("something is to be seen")?)?;
        terminal.types("\r")?;
    }
    let (ended, text) = terminal.end()?;
    let seen: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    ensure!(ended == code && seen == lines, "{ended}: {text:?}");
    Ok(())
}

/// What the image's layers say, and namespaces of its own.
fn layers_and_namespaces(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let script = "cat /etc/gantry-release; ls /old; test -e /removed || echo removed; echo $GREETING; echo $$; hostname; \
                  for ns in pid net uts ipc mnt; do readlink /proc/self/ns/$ns; done";
    let ran = sh(&daemon, &[], script)?.with_code(0)?;
    let lines = ran.lines();
    ensure!(lines.len() == 11, "{ran}");
    ensure!(lines[..5] == [RELEASE.trim(), "new", "removed", "hello", "1"], "{ran}");
    for (line, name) in lines[6..].iter().zip(["pid", "net", "uts", "ipc", "mnt"]) {
        let own = std::fs::read_link(format!("/proc/self/ns/{name}"))?;
        ensure!(line.starts_with(name) && *line != own.to_string_lossy(), "{name}: {ran}");
    }
    let ran = sh(&daemon, &["--net-host"], "readlink /proc/self/ns/net")?.with_code(0)?;
    ensure!(ran.stdout.trim() == std::fs::read_link("/proc/self/ns/net")?.to_string_lossy(), "{ran}");
    let ran = sh(&daemon, &[], "cat /proc/self/cgroup")?.with_code(0)?;
    let path = format!("/{}/one", daemon.namespace());
    let lines = ran.lines();
    if crate::cgroups::only_version_2() {
        ensure!(lines.len() == 1 && lines[0].starts_with("0::/"), "{ran}");
    } else {
        let version_1: Vec<_> = lines.iter().filter(|l| !l.starts_with("0:")).collect();
        ensure!(!version_1.is_empty() && version_1.iter().all(|l| l.ends_with(&path)), "{ran}");
    }
    daemon.finish()
}

/// The flags that change the process.
fn flags(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let table: [(&[&str], &str, &str); 10] = [
        (&["--env", "COLOUR=blue"], "echo $COLOUR $GREETING", "blue hello"),
        (&["--cwd", "/home/app"], "pwd", "/home/app"),
        (&["--hostname", "lighthouse"], "hostname", "lighthouse"),
        (&["--user", "app"], "id -u; id -g; id -G", "1000\n1000\n1000 2"),
        (&["--user", "1000:2"], "id -u; id -g", "1000\n2"),
        (&["--read-only"], "touch /x 2>/dev/null || echo refused", "refused"),
        (&["--cap-drop", "CAP_CHOWN"], "touch /x; chown app /x 2>/dev/null || echo refused", "refused"),
        (&["--cap-add", "CAP_SYS_TIME"], "grep CapEff /proc/self/status | cut -f2", "00000000aa0425fb"),
        (&[], "grep -E 'CapEff|NoNewPrivs' /proc/self/status | cut -f2", "00000000a80425fb\n1"),
        (&["--seccomp"], "grep Seccomp: /proc/self/status | cut -f2", "2"),
    ];
    for (flags, script, wanted) in table {
        let ran = sh(&daemon, flags, script)?.with_code(0)?;
        ensure!(ran.stdout.trim_end() == wanted, "{flags:?}: wanted {wanted:?}: {ran}");
    }
    let ran = sh(
        &daemon,
        &["--privileged"],
        "grep CapEff /proc/self/status | cut -f2; test -w /proc/sys/kernel/hostname && echo writable",
    )?;
    let own = std::fs::read_to_string("/proc/self/status")?;
    let own = own.lines().find_map(|l| l.strip_prefix("CapEff:\t")).unwrap_or_default();
    ensure!(ran.lines() == [own, "writable"], "{ran}");
    daemon.finish()
}

/// Bind mounts, tmpfs, and what the container may not see.
fn mounts(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let shared = daemon.dir().join("outside");
    std::fs::create_dir(&shared)?;
    std::fs::write(shared.join("letter"), "from outside\n")?;
    let source = shared.display();
    let bind = format!("type=bind,src={source},dst=/inside,options=rbind:rw");
    let ran = sh(&daemon, &["--mount", &bind], "cat /inside/letter; echo from inside > /inside/answer")?
        .with_code(0)?;
    ensure!(ran.stdout == "from outside\n", "{ran}");
    ensure!(std::fs::read_to_string(shared.join("answer"))? == "from inside\n");
    let bind = format!("type=bind,src={source},dst=/inside,options=rbind:ro");
    let ran =
        sh(&daemon, &["--mount", &bind], "touch /inside/x 2>/dev/null || echo refused")?.with_code(0)?;
    ensure!(ran.stdout == "refused\n", "{ran}");
    let tmpfs = "type=tmpfs,dst=/scratch,options=size=1m:mode=1777";
    let ran = sh(
        &daemon,
        &["--mount", tmpfs],
        "grep -o 'size=[0-9]*k' /proc/mounts | grep -x size=1024k; stat -c %a /scratch",
    )?;
    ensure!(ran.lines() == ["size=1024k", "1777"], "{ran}");
    let script = "cat /proc/kcore 2>/dev/null | wc -c; ls /proc/acpi /sys/firmware 2>/dev/null | grep -v : | wc -w; \
                  touch /proc/sys/x 2>/dev/null || echo refused; ls /dev | tr '\\n' ' '";
    let ran = sh(&daemon, &[], script)?;
    let lines = ran.lines();
    ensure!(lines[..3] == ["0", "0", "refused"], "{ran}");
    let devices = [
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero",
    ];
    let shown: Vec<&str> = lines[3].split_whitespace().filter(|d| *d != "core").collect();
    ensure!(shown == devices, "{ran}");
    daemon.finish()
}

/// Memory, processor and file limits, as the container and the host see them.
fn limits(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let memory = (64 * 1024 * 1024).to_string();
    daemon.ok(&[
        "run",
        "-d",
        "--memory-limit",
        &memory,
        "--cpus",
        "0.5",
        BUSYBOX,
        "held",
        "sleep",
        "1000",
    ])?;
    let cgroups = e2e::census::cgroups_of(daemon.namespace());
    ensure!(!cgroups.is_empty(), "no cgroup");
    let read = |name: &str| cgroups.iter().find_map(|c| std::fs::read_to_string(c.join(name)).ok());
    let limit = read("memory.limit_in_bytes").or_else(|| read("memory.max"));
    ensure!(limit.as_deref().map(str::trim) == Some(memory.as_str()), "memory limit {limit:?}");
    let quota = read("cpu.cfs_quota_us").or_else(|| read("cpu.max"));
    ensure!(quota.as_deref().is_some_and(|q| q.starts_with("50000")), "quota {quota:?}");
    daemon.ok(&["tasks", "metrics", "held"])?.says(&["67108864"])?;
    daemon.ok(&["tasks", "rm", "-f", "held"])?;
    daemon.ok(&["containers", "rm", "held"])?;
    // Over its memory limit a container's largest process is killed, not the machine's.
    let ran = sh(&daemon, &["--memory-limit", "20000000"], "tail /dev/zero; echo ended with $?")?;
    ensure!(ran.stdout == "ended with 137\n", "{ran}");
    daemon.finish()
}

/// `--rootfs`: a directory instead of an image.
fn a_rootfs(daemon: Daemon) -> Result<()> {
    let rootfs = daemon.dir().join("tree");
    for dir in ["bin", "proc", "dev", "sys", "tmp", "etc", "run"] {
        std::fs::create_dir_all(rootfs.join(dir))?;
    }
    std::fs::copy("/bin/busybox", rootfs.join("bin/busybox"))?;
    let rootfs = rootfs.to_string_lossy();
    let ran = daemon.ok(&["run", "--rm", "--rootfs", &rootfs, "one", "/bin/busybox", "echo", "bare"])?;
    ensure!(ran.stdout == "bare\n", "{ran}");
    daemon.finish()
}

/// `--log-uri`: output to a file and to a program.
fn logs(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let mut events = daemon.events()?;
    let file = daemon.dir().join("out.log");
    let uri = format!("file://{}", file.display());
    daemon.ok(&["run", "-d", "--log-uri", &uri, BUSYBOX, "filed", "sh", "-c", "echo out; echo err >&2"])?;
    events.line_with(&["/tasks/exit", "\"filed\""])?;
    daemon.ok(&["tasks", "rm", "filed"])?;
    daemon.ok(&["containers", "rm", "filed"])?;
    let text = std::fs::read_to_string(&file)?;
    ensure!(text.contains("out\n") && text.contains("err\n"), "the log says {text:?}");

    let program = daemon.dir().join("logger");
    let sink = daemon.dir().join("sink.log");
    std::fs::write(
        &program,
        format!(
            "#!/bin/busybox sh\nexec >{}\necho $CONTAINER_ID\nexec 5>&-\n/bin/busybox cat <&3\n",
            sink.display()
        ),
    )?;
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let uri = format!("binary://{}", program.display());
    daemon.ok(&["run", "-d", "--log-uri", &uri, BUSYBOX, "piped", "sh", "-c", "echo through a program"])?;
    events.line_with(&["/tasks/exit", "\"piped\""])?;
    daemon.ok(&["tasks", "rm", "piped"])?;
    daemon.ok(&["containers", "rm", "piped"])?;
    let text = std::fs::read_to_string(&sink)?;
    ensure!(text == "piped\nthrough a program\n", "the program wrote {text:?}");
    events.kill()?;
    daemon.finish()
}

/// The fifos of a client that waits for its process go with it.
fn fifos_go(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let dir = daemon.dir().join("fifo");
    let fifos = dir.to_string_lossy();
    daemon.ok(&["run", "-d", "--fifo-dir", &fifos, BUSYBOX, "two", "sleep", "1000"])?;
    let entries = || Ok::<_, anyhow::Error>(std::fs::read_dir(&dir)?.count());
    let before = entries()?;
    daemon.ok(&["run", "--rm", "--fifo-dir", &fifos, BUSYBOX, "one", "true"])?;
    daemon.ok(&["tasks", "exec", "--fifo-dir", &fifos, "--exec-id", "e", "two", "true"])?;
    ensure!(entries()? == before, "{} are left in {fifos}", entries()? - before);
    daemon.ok(&["tasks", "rm", "-f", "two"])?;
    daemon.ok(&["containers", "rm", "two"])?;
    daemon.finish()
}

/// The snapshotter that copies instead of laying over.
fn a_copied_snapshot(daemon: Daemon) -> Result<()> {
    let path = daemon.dir().join("image.tar");
    e2e::samples::busybox(BUSYBOX)?.write(&path)?;
    let path = path.to_string_lossy();
    let mut import = vec!["images", "import", "--snapshotter", "native", &path];
    if daemon.kind() != e2e::Kind::Gantry {
        // The reference's transfer service unpacks only for snapshotters named in its configuration.
        import.insert(2, "--local");
    }
    daemon.ok(&import)?;
    let ran = sh(
        &daemon,
        &["--snapshotter", "native"],
        "cat /etc/gantry-release; echo mine > /etc/gantry-release",
    )?;
    ensure!(ran.stdout == RELEASE, "{ran}");
    let ran = sh(
        &daemon,
        &["--snapshotter", "native"],
        "cat /etc/gantry-release; ls /old; test -e /removed || echo removed",
    )?;
    ensure!(ran.lines() == [RELEASE.trim(), "new", "removed"], "{ran}");
    ensure!(daemon.ok(&["snapshots", "--snapshotter", "native", "ls"])?.rows().len() == 2);
    daemon.ok(&["images", "rm", "--sync", BUSYBOX])?;
    ensure!(daemon.ok(&["snapshots", "--snapshotter", "native", "ls"])?.rows().is_empty());
    daemon.finish()
}

/// Root inside, nobody outside.
fn a_user_namespace(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let map = "0:100000:65536";
    let script = "id -u; awk '{print $2}' /proc/self/uid_map; stat -c %u:%g /etc/passwd; touch /x && echo written; ls -ln /dev/null | awk '{print $3}'";
    let ran = sh(&daemon, &["--uidmap", map, "--gidmap", map], script)?.with_code(0)?;
    ensure!(ran.lines() == ["0", "100000", "0:0", "written", "65534"], "{ran}");
    daemon.finish()
}

/// A reader that goes away, or a file that cannot be written: the task goes, what the container wrote stays.
#[test]
fn output_that_nobody_reads() -> Result<()> {
    let daemon = crate::start(e2e::Client::Gantry)?;
    daemon.import_busybox()?;
    let many = "echo kept >/kept; seq 100000";
    unread(&daemon, &["run", BUSYBOX, "one", "sh", "-c", many])?;
    ensure!(daemon.ok(&["tasks", "ls"])?.rows().is_empty(), "the task is left");
    daemon.ok(&["snapshots", "info", "one"])?;
    daemon.ok(&["containers", "rm", "one"])?;
    daemon.refuses(&["run", "--pid-file", "/no/dir/x", BUSYBOX, "one", "true"], &["/no/dir/x"])?;
    ensure!(daemon.ok(&["tasks", "ls"])?.rows().is_empty(), "the task is left");
    ensure!(daemon.ok(&["containers", "ls"])?.rows().is_empty(), "the container is left");
    daemon.ok(&["containers", "create", BUSYBOX, "one", "sleep", "1000"])?;
    daemon.refuses(&["tasks", "start", "-d", "--pid-file", "/no/dir/x", "one"], &["/no/dir/x"])?;
    ensure!(daemon.ok(&["tasks", "ls"])?.rows().is_empty(), "the created task is left");
    daemon.ok(&["tasks", "start", "-d", "one"])?;
    for _ in 0..2 {
        unread(&daemon, &["tasks", "exec", "--exec-id", "e", "one", "seq", "100000"])?;
    }
    daemon.ok(&["tasks", "rm", "-f", "one"])?;
    daemon.ok(&["containers", "rm", "one"])?;
    daemon.finish()
}

/// Reads the first line of what a command says and no more.
fn unread(daemon: &Daemon, args: &[&str]) -> Result<()> {
    let mut command = daemon.client(args).into_command();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut output = BufReader::new(child.stdout.take().context("its output")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    ensure!(line == "1\n", "{line:?}");
    drop(output);
    let ended = child.wait_with_output()?;
    // As for any program whose reader has gone.
    ensure!(ended.status.code() == Some(141), "{}: {}", ended.status, String::from_utf8_lossy(&ended.stderr));
    Ok(())
}
