//! The command line as a program of its own, for trying it out; the shipped one is part of the shim's binary.

fn main() {
    std::process::exit(runtime::cli::main(std::env::args_os().skip(1).collect()));
}
