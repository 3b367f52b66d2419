//! Sizes: a file has at most 600 lines of production code, a function at most 70, or says why.

use super::source::Source;

const FILE_LIMIT: usize = 600;
const FUNCTION_LIMIT: usize = 70;

/// Findings: files and functions over the limit. A comment `// long: reason` above a function excuses it.
pub fn check(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|s| s.is_production()) {
        let path = source.path.display();
        if source.lines > FILE_LIMIT {
            findings.push(format!("{path}: {} lines, the limit is {FILE_LIMIT}", source.lines));
        }
        for function in source.functions.iter().filter(|f| f.lines > FUNCTION_LIMIT && !f.excused) {
            let (line, name, lines) = (function.line, &function.name, function.lines);
            findings.push(format!("{path}:{line}: {name} has {lines} lines, the limit is {FUNCTION_LIMIT}"));
        }
    }
    findings
}
