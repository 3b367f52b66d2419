//! The shim with the OCI runtime built in.
//!
//! One program, two faces: called `gantry-oci` or `runc`, or with `oci` as its first argument, it is the runtime's
//! command line; otherwise it is the shim.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    arguments.next();
    shimkit::main(arguments)
}
