//! Streams: fifos, terminals, files, logging programs.

use std::os::unix::fs::PermissionsExt;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use wire::api::task_v3 as api;

use crate::bench::{Bench, PATIENCE};
use crate::with_runtimes;

with_runtimes! {
    output_fifos => super::output_fifos_by;
    input_fifo => super::input_fifo_by;
    early_end_of_input => super::early_end_of_input_by;
    a_reader_that_goes => super::a_reader_that_goes_by;
    held_output => super::held_output_by;
    unread_output => super::unread_output_by;
    time_to_read => super::time_to_read_by;
    terminal => super::terminal_by;
    exec_terminal => super::exec_terminal_by;
    file => super::file_by;
    plain_file => super::plain_file_by;
    logging_program => super::logging_program_by;
}

pub fn reader(path: &str) -> pipe::Receiver {
    pipe::OpenOptions::new().open_receiver(path).expect("open")
}

async fn read_all(mut from: pipe::Receiver) -> String {
    let mut text = String::new();
    tokio::time::timeout(PATIENCE, from.read_to_string(&mut text)).await.expect("in time").expect("read");
    text
}

async fn output_fifos_by(runtime: &str) {
    let bench = Bench::start(runtime, "echo hello; echo trouble >&2; echo > /dev/stdout again").await;
    let (out, err) = (bench.fifo("out"), bench.fifo("err"));
    let (out_reader, err_reader) = (reader(&out), reader(&err));
    bench.create(|request| (request.stdout, request.stderr) = (out.clone(), err)).await;
    assert_eq!(bench.state("").await.stdout, out);
    bench.start_task().await;
    assert_eq!(bench.wait("").await.exit_status, 0);
    assert_eq!(read_all(out_reader).await, "hello\nagain\n");
    assert_eq!(read_all(err_reader).await, "trouble\n");
    bench.finish().await;
}

async fn input_fifo_by(runtime: &str) {
    let bench = Bench::start(runtime, "cat; echo end").await;
    let (stdin, out) = (bench.fifo("in"), bench.fifo("out"));
    let out_reader = reader(&out);
    bench
        .create(|request| (request.stdin, request.stdout, request.stderr) = (stdin.clone(), out.clone(), out))
        .await;
    bench.start_task().await;
    for text in ["one\n", "two\n"] {
        let mut writer = pipe::OpenOptions::new().open_sender(&stdin).expect("open");
        writer.write_all(text.as_bytes()).await.expect("write");
    }
    let request = api::CloseIoRequest { id: bench.id.clone(), exec_id: String::new(), stdin: true };
    bench.call::<()>("CloseIO", &request).await;
    assert_eq!(bench.wait("").await.exit_status, 0);
    assert_eq!(read_all(out_reader).await, "one\ntwo\nend\n");
    bench.finish().await;
}

/// The end of input may be told before the process runs.
async fn early_end_of_input_by(runtime: &str) {
    let bench = Bench::start(runtime, "sleep 1000").await;
    bench.create(|_| ()).await;
    bench.start_task().await;
    let (stdin, out) = (bench.fifo("in"), bench.fifo("out"));
    let streams = (stdin.clone(), out.clone(), out);
    bench.add_exec("e", "exec cat", |r| (r.stdin, r.stdout, r.stderr) = streams).await;
    let request = api::CloseIoRequest { id: bench.id.clone(), exec_id: "e".into(), stdin: true };
    bench.call::<()>("CloseIO", &request).await;
    bench.start_exec("e").await;
    assert_eq!(bench.wait("e").await.exit_status, 0);
    bench.delete("e").await;
    bench.finish().await;
}

/// Output nobody reads keeps neither the exit back nor other streams; a removal waits for a reader.
async fn unread_output_by(runtime: &str) {
    let bench = Bench::start(runtime, "dd if=/dev/zero bs=1000 count=100; echo done >&2").await;
    let (out, err) = (bench.fifo("out"), bench.fifo("err"));
    let err_reader = reader(&err);
    bench.create(|request| (request.stdout, request.stderr) = (out.clone(), err)).await;
    bench.start_task().await;
    assert_eq!(bench.wait("").await.exit_status, 0);
    assert!(read_all(err_reader).await.ends_with("done\n"));
    let (_, text) = tokio::join!(bench.delete(""), async {
        // The removal is under way when the reader comes.
        bench.state("").await;
        read_all(reader(&out)).await
    });
    assert_eq!(text.len(), 100_000);
    bench.finish().await;
}

/// Some clients read no more when they have the answer to a removal: so it comes when they have read, or had the time to.
async fn time_to_read_by(runtime: &str) {
    let bench = Bench::start(runtime, "echo here").await;
    let out = bench.fifo("out");
    let mut client = reader(&out);
    bench.create(|request| (request.stdout, request.stderr) = (out.clone(), out.clone())).await;
    bench.start_task().await;
    assert_eq!(bench.wait("").await.exit_status, 0);
    let asked = std::time::Instant::now();
    bench.delete("").await;
    assert!(asked.elapsed() >= std::time::Duration::from_millis(100), "{:?}", asked.elapsed());
    expect(&mut client, "here\n").await;
    bench.finish().await;
}

/// A client that goes away is no broken pipe.
async fn a_reader_that_goes_by(runtime: &str) {
    let bench = Bench::start(runtime, "echo one; read go; echo two || exit 9").await;
    let (stdin, out) = (bench.fifo("in"), bench.fifo("out"));
    let mut first = reader(&out);
    let streams = (stdin.clone(), out.clone(), out.clone());
    bench.create(|request| (request.stdin, request.stdout, request.stderr) = streams).await;
    bench.start_task().await;
    expect(&mut first, "one\n").await;
    drop(first);
    let mut writer = pipe::OpenOptions::new().open_sender(&stdin).expect("open");
    writer.write_all(b"go\n").await.expect("write");
    assert_eq!(bench.wait("").await.exit_status, 0);
    let mut second = reader(&out);
    expect(&mut second, "two\n").await;
    bench.finish().await;
}

/// Removing an added process waits for its children that still hold its output.
async fn held_output_by(runtime: &str) {
    let bench = Bench::start(runtime, "sleep 1000").await;
    bench.create(|_| ()).await;
    bench.start_task().await;
    let (stdin, out) = (bench.fifo("in"), bench.fifo("out"));
    let mut input = pipe::OpenOptions::new().read_write(true).open_sender(&stdin).expect("open");
    let output = reader(&out);
    let script = "exec 3<&0; (read go <&3; echo late) & echo early";
    let streams = (stdin.clone(), out.clone(), out);
    bench.add_exec("e", script, |r| (r.stdin, r.stdout, r.stderr) = streams).await;
    bench.start_exec("e").await;
    assert_eq!(bench.wait("e").await.exit_status, 0);
    let mut deleting = Box::pin(bench.delete("e"));
    tokio::select! {
        _ = &mut deleting => panic!("a child still writes"),
        _ = bench.state("") => {}
    }
    input.write_all(b"go\n").await.expect("write");
    let (_, text) = tokio::join!(deleting, read_all(output));
    assert_eq!(text, "early\nlate\n");
    bench.finish().await;
}

pub async fn expect(from: &mut pipe::Receiver, wanted: &str) -> String {
    let mut seen = String::new();
    let read = async {
        while !seen.contains(wanted) {
            let mut chunk = [0; 256];
            let count = from.read(&mut chunk).await.expect("read");
            assert_ne!(count, 0, "the end came after {seen:?}");
            seen.push_str(&String::from_utf8_lossy(&chunk[..count]));
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("{wanted:?} does not come"));
    seen
}

async fn talk(bench: &Bench, exec: &str, stdin: &str, out: &str) {
    let resize = api::ResizePtyRequest { id: bench.id.clone(), exec_id: exec.into(), width: 100, height: 40 };
    bench.call::<()>("ResizePty", &resize).await;
    let mut output = reader(out);
    let mut input = pipe::OpenOptions::new().open_sender(stdin).expect("open");
    input.write_all(b"tty && stty size\n").await.expect("write");
    expect(&mut output, "40 100\r\n").await;
    input.write_all(b"exit 5\n").await.expect("write");
    assert_eq!(bench.wait(exec).await.exit_status, 5);
    read_all(output).await;
}

async fn terminal_by(runtime: &str) {
    let id = crate::bench::unique();
    let mut config = crate::bench::config(&id, "exec sh");
    config["process"]["terminal"] = true.into();
    let bench = Bench::start_with(runtime, id, config).await;
    let (stdin, out) = (bench.fifo("in"), bench.fifo("out"));
    bench
        .create(|request| {
            request.terminal = true;
            (request.stdin, request.stdout) = (stdin.clone(), out.clone());
        })
        .await;
    bench.start_task().await;
    talk(&bench, "", &stdin, &out).await;
    bench.finish().await;
}

async fn exec_terminal_by(runtime: &str) {
    let bench = Bench::start(runtime, "sleep 1000").await;
    bench.create(|_| ()).await;
    bench.start_task().await;
    let (stdin, out) = (bench.fifo("in"), bench.fifo("out"));
    bench
        .add_exec("e", "exec sh", |request| {
            request.terminal = true;
            (request.stdin, request.stdout) = (stdin.clone(), out.clone());
        })
        .await;
    bench.start_exec("e").await;
    talk(&bench, "e", &stdin, &out).await;
    bench.delete("e").await;
    bench.finish().await;
}

async fn file_by(runtime: &str) {
    let bench = Bench::start(runtime, "echo one; echo two >&2").await;
    let path = bench.dir.path().join("logs/deep/x.log");
    let uri = format!("file://{}", path.display());
    bench.create(|request| (request.stdout, request.stderr) = (uri.clone(), uri)).await;
    bench.start_task().await;
    bench.wait("").await;
    bench.delete("").await;
    assert_eq!(std::fs::read_to_string(path).expect("log"), "one\ntwo\n");
    bench.finish().await;
}

/// A plain file is appended to, and never handed to the process, which could cut it short.
async fn plain_file_by(runtime: &str) {
    let bench = Bench::start(runtime, "echo one; : > /dev/stdout; echo no >&2; echo two").await;
    let [plain, errors] = ["plain", "errors"].map(|name| bench.dir.path().join(name));
    for (stderr, out, err) in [(&plain, "one\nno\ntwo\n", ""), (&errors, "one\ntwo\n", "no\n")] {
        std::fs::write(&plain, "before\n").expect("write");
        std::fs::write(&errors, "").expect("write");
        let [stdout, stderr] = [&plain, stderr].map(|path| path.to_str().expect("utf-8").to_owned());
        bench.create(|request| (request.stdout, request.stderr) = (stdout, stderr)).await;
        bench.start_task().await;
        bench.wait("").await;
        bench.delete("").await;
        assert_eq!(std::fs::read_to_string(&plain).expect("file"), format!("before\n{out}"));
        assert_eq!(std::fs::read_to_string(&errors).expect("file"), err);
    }
    bench.finish().await;
}

async fn logging_program_by(runtime: &str) {
    let bench = Bench::start(runtime, "echo one; echo two >&2").await;
    let (program, log) = (bench.dir.path().join("logger"), bench.dir.path().join("log"));
    let script = "#!/bin/sh\n{ echo $CONTAINER_NAMESPACE $CONTAINER_ID $1 $2; echo x >&5; exec 5>&-; cat <&3; cat <&4; } > $2\n";
    std::fs::write(&program, script).expect("write");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let uri = format!("binary-v2://{}?to={}", program.display(), log.display());
    bench.create(|request| (request.stdout, request.stderr) = (uri.clone(), uri)).await;
    bench.start_task().await;
    bench.wait("").await;
    bench.delete("").await;
    let text = std::fs::read_to_string(&log).expect("log");
    assert_eq!(text, format!("bench {} to {}\none\ntwo\n", bench.id, log.display()));
    bench.finish().await;
}
