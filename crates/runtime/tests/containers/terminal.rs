//! Terminals and where their masters go.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use serde_json::json;

use crate::bundle::Bundle;

/// Accepts the master that a command sends to a socket, while the command runs.
fn receive(bundle: &Bundle, command: impl FnOnce(&str)) -> std::fs::File {
    let path = bundle.path().join("console.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let receiver = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut name = [0; 64];
        let (_, mut fds) = kernel::socket::receive(&stream, &mut name).unwrap();
        fds.pop().unwrap()
    });
    command(path.to_str().unwrap());
    let master = receiver.join().unwrap();
    std::fs::remove_file(&path).unwrap();
    master.into()
}

fn read_all(mut master: std::fs::File) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    // The end of the last slave shows as an error.
    while let Ok(length @ 1..) = master.read(&mut buffer) {
        text.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8_lossy(&text).replace("\r\n", "\n")
}

#[test]
fn the_first_process_has_a_terminal() {
    let script = "tty; stty size; test -c /dev/console && echo console; echo in > /dev/console; ls -l /dev/pts | wc -l; read x; echo got $x";
    let bundle = Bundle::script(script).with(|spec| {
        spec["process"]["terminal"] = json!(true);
        spec["process"]["consoleSize"] = json!({"height": 33, "width": 77});
    });
    bundle.save();
    let mut master = receive(&bundle, |socket| {
        let path = bundle.path().to_str().unwrap();
        bundle.verb(&["create", "--bundle", path, "--console-socket", socket, &bundle.id]).ok();
    });
    bundle.verb(&["start", &bundle.id]).ok();
    master.write_all(b"typed\n").unwrap();
    let text = read_all(master).replace("typed\n", "");
    assert_eq!(
        text,
        "/dev/pts/0\n33 77\nconsole\nin\n3\ngot typed\n".replace("got typed\n", "got ").to_owned() + ""
    );
}

#[test]
fn a_later_process_has_a_terminal() {
    let bundle = Bundle::script("exec sleep 1000");
    bundle.create().ok();
    bundle.verb(&["start", &bundle.id]).ok();
    let master = receive(&bundle, |socket| {
        bundle
            .verb(&[
                "exec",
                "--tty",
                "--detach",
                "--console-socket",
                socket,
                &bundle.id,
                "sh",
                "-c",
                "tty; echo $$ > /dev/tty",
            ])
            .ok();
    });
    assert!(read_all(master).starts_with("/dev/pts/0\n"));
}

#[test]
fn a_terminal_needs_a_place_to_go() {
    let bundle = Bundle::script("true").with(|spec| spec["process"]["terminal"] = json!(true));
    let text = bundle.create().failed();
    assert!(
        text.contains("cannot allocate tty if runc will detach without setting console socket"),
        "{text}"
    );
    let bundle = Bundle::script("true");
    bundle.save();
    let path = bundle.path().to_str().unwrap();
    let text = bundle.verb(&["create", "--bundle", path, "--console-socket", "/nosuch", &bundle.id]).failed();
    assert!(text.contains("cannot use console socket if runc will not detach or allocate tty"), "{text}");
    assert!(bundle.is_gone());
}
