//! The project's own commands: `cargo xtask check | codegen | build | demo | bench | test | vm`.
//!
//! Each command is one file. Absent on purpose: options. A command does one thing, the same for people and for CI.

use std::process::ExitCode;

mod bench;
mod build;
mod check;
mod codegen;
mod compat;
mod demo;
mod filters;
mod packages;
mod run;
mod test;
mod vm;
mod workspace;

const USAGE: &str = "usage: cargo xtask COMMAND

  check             the house rules: levels, sizes, names, licences, fmt, clippy; prints the counts
  check --fast      the same without fmt and clippy
  codegen           write the generated code from proto/ (codegen --check: only compare)
  build             release build of gantryd, gantry and gantry-shim into target/dist
  build --debug     the same for tests into target/dist-debug
  compat            build the real ctr, containerd and runc into target/compat
  demo              build, then show an image going in and a container coming out
  bench             measure gantry beside containerd, print the table and where one cycle's time goes
  bench --quick     the same with fewer rounds
  bench --pull      only pulling and unpacking
  bench --trace     only where the time goes
  bench --against DIR  two builds of gantry: this one and the one in that folder
  bench --soak      thousands of cycles and execs: what daemon and shim hold before and after
  test              install what the tests need, build, run every test, print one summary
  vm                its last step alone: the tests of control groups on a machine with only version 2 of them";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["check"] => check::run(check::Extent::Whole),
        ["check", "--fast"] => check::run(check::Extent::Fast),
        ["codegen"] => codegen::run(false),
        ["codegen", "--check"] => codegen::run(true),
        ["build"] => build::run(build::Profile::Release).map(drop),
        ["build", "--debug"] => build::run(build::Profile::Debug).map(drop),
        ["compat"] => compat::run().map(drop),
        ["demo"] => demo::run(),
        ["bench"] => bench::run(&[]),
        ["bench", "--against", dist] => bench::run(&["--against", dist]),
        ["bench", flag @ ("--quick" | "--pull" | "--trace" | "--soak")] => bench::run(&[flag]),
        ["test"] => test::run(),
        ["vm"] => test::run_vm(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
