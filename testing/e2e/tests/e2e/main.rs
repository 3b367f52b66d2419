//! The whole product on a real kernel, through the real `ctr` and through `gantry`.
fn main() {}
