//! `helve check`: how much `unsafe` there is, crate by crate, and whether any is where it must not be.
//!
//! Source is read as tokens, so comments, strings and lint names do not count; `unsafe` inside macros does.

use crate::cli::CheckOptions;
use crate::workspace::Workspace;
use anyhow::{Context, Result, anyhow};
use proc_macro2::{TokenStream, TokenTree};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders in which `unsafe` belongs: the machine, and programs whose purpose is to do what a kernel must survive.
const ALLOWED: [&str; 3] = ["machine", "tests/programs", "bench/programs"];

/// The user runtime may have it in a single file.
const ONE_FILE: &str = "lib/helve";

/// What one crate has.
#[derive(Debug)]
struct Count {
    package: String,
    total: usize,
    /// Files with `unsafe`, relative to the tree, and how much.
    files: Vec<(PathBuf, usize)>,
}

/// Runs the command; returns the status to exit with.
pub fn check(_: &CheckOptions) -> Result<u8> {
    let workspace = Workspace::find()?;
    let counts = count_all(&workspace)?;
    println!("{:<24} unsafe", "crate");
    for count in &counts {
        println!("{:<24} {:>6}", count.package, count.total);
    }
    let wrong = misplaced(&counts);
    for (path, count) in &wrong {
        println!("not allowed: {count} in {}", path.display());
    }
    Ok(u8::from(!wrong.is_empty()))
}

fn count_all(workspace: &Workspace) -> Result<Vec<Count>> {
    let folders: Vec<&Path> = workspace
        .packages()
        .iter()
        .map(|package| package.folder.as_path())
        .collect();
    let mut counts = Vec::new();
    for package in workspace.packages() {
        let mut sources = Vec::new();
        collect(&package.folder, &folders, &mut sources)?;
        sources.sort();
        let mut files = Vec::new();
        for source in sources {
            let text = fs::read_to_string(&source)?;
            let count = count(&text).with_context(|| source.display().to_string())?;
            if count > 0 {
                files.push((source.strip_prefix(workspace.root())?.to_path_buf(), count));
            }
        }
        let total = files.iter().map(|(_, count)| count).sum();
        counts.push(Count {
            package: package.name.clone(),
            total,
            files,
        });
    }
    counts.sort_by(|a, b| {
        b.total
            .cmp(&a.total)
            .then_with(|| a.package.cmp(&b.package))
    });
    Ok(counts)
}

/// The Rust files below `folder` that belong to no other package.
fn collect(folder: &Path, packages: &[&Path], sources: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if !packages.contains(&path.as_path())
                && path.file_name().is_some_and(|name| name != "target")
            {
                collect(&path, packages, sources)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
    Ok(())
}

/// How often the keyword stands in a source text: blocks, functions, implementations, attributes.
fn count(source: &str) -> Result<usize> {
    fn walk(tokens: TokenStream) -> usize {
        tokens
            .into_iter()
            .map(|token| match token {
                TokenTree::Group(group) => walk(group.stream()),
                TokenTree::Ident(ident) => usize::from(ident == "unsafe"),
                _ => 0,
            })
            .sum()
    }
    // The first line of a script is no Rust.
    let source = if source.starts_with("#!/") {
        source.split_once('\n').map_or("", |(_, rest)| rest)
    } else {
        source
    };
    let tokens: TokenStream = source
        .parse()
        .map_err(|error| anyhow!("not Rust: {error}"))?;
    Ok(walk(tokens))
}

fn misplaced(counts: &[Count]) -> Vec<(PathBuf, usize)> {
    let files = counts.iter().flat_map(|count| &count.files);
    let (runtime, others): (Vec<_>, Vec<_>) =
        files.partition(|(path, _)| path.starts_with(ONE_FILE));
    let outside = others
        .into_iter()
        .filter(|(path, _)| !ALLOWED.iter().any(|folder| path.starts_with(folder)));
    // The tests of the one file stand in a folder of its name.
    let own = |(path, _): &&(PathBuf, usize)| !path.ends_with("tests.rs");
    let surplus = if runtime.iter().copied().filter(own).count() > 1 {
        runtime
    } else {
        Vec::new()
    };
    outside.chain(surplus).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_keyword_counts() {
        let source = r##"
            #![forbid(unsafe_code)]
            // unsafe
            /// unsafe { }
            const TEXT: &str = "unsafe";
            const RAW: &str = r#"unsafe"#;
        "##;
        assert_eq!(count(source).unwrap(), 0);
        let source =
            "unsafe fn f() { unsafe { g() } } #[unsafe(no_mangle)] fn h() {} m! { unsafe }";
        assert_eq!(count(source).unwrap(), 4);
    }

    #[test]
    fn only_some_folders_may_have_it() {
        let count = |path: &str| Count {
            package: "p".into(),
            total: 1,
            files: vec![(path.into(), 1)],
        };
        let wrong = misplaced(&[
            count("machine/src/bare/cpu.rs"),
            count("tests/programs/src/raw.rs"),
            count("lib/helve/src/calls.rs"),
            count("lib/helve/src/calls/tests.rs"),
            count("kernel/task/src/lib.rs"),
        ]);
        assert_eq!(wrong, [(PathBuf::from("kernel/task/src/lib.rs"), 1)]);
        let wrong = misplaced(&[count("lib/helve/src/a.rs"), count("lib/helve/src/b.rs")]);
        assert_eq!(wrong.len(), 2);
    }

    #[test]
    fn this_crate_has_none() {
        let counts = count_all(&Workspace::find().unwrap()).unwrap();
        assert_eq!(
            counts
                .iter()
                .find(|count| count.package == "host")
                .unwrap()
                .total,
            0
        );
    }
}
