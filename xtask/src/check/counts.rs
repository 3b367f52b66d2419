//! The numbers that are watched: sizes of files and functions, `unwrap`, `expect` and `unsafe`.

use super::source::Source;

/// Prints one line for each number, of production code only.
pub fn print(sources: &[Source]) {
    let production: Vec<&Source> = sources.iter().filter(|s| s.is_production()).collect();
    let mut files: Vec<usize> = production.iter().map(|s| s.lines).collect();
    let mut functions: Vec<usize> =
        production.iter().flat_map(|s| s.functions.iter().map(|f| f.lines)).collect();
    files.sort_unstable();
    functions.sort_unstable();
    let over = functions.iter().filter(|n| **n > 70).count();
    let share = 100.0 * over as f64 / functions.len().max(1) as f64;
    let lines: usize = files.iter().sum();
    let tests: usize = sources.iter().filter(|s| !s.generated).map(|s| s.test_lines).sum();
    println!(
        "files: {} with {lines} lines, median {}, largest {}",
        files.len(),
        middle(&files),
        last(&files)
    );
    println!(
        "functions: {}, median {}, largest {}, {over} over 70 lines ({share:.1} %)",
        functions.len(),
        middle(&functions),
        last(&functions)
    );
    println!("test code: {tests} lines");
    let unwraps: usize = production.iter().map(|s| s.unwraps).sum();
    let expects: usize = production.iter().map(|s| s.expects).sum();
    let unsafes: usize = production.iter().map(|s| s.unsafes.len()).sum();
    println!("unwrap: {unwraps}, expect: {expects}, unsafe: {unsafes}");
}

fn middle(sorted: &[usize]) -> usize {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn last(sorted: &[usize]) -> usize {
    sorted.last().copied().unwrap_or_default()
}
