//! `ls`: directories, and registries that can be listed.

use crate::options::Options;
use crate::{Misuse, failed, table};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use helve::console::Console;
use helve::file::{Metadata, metadata, records};
use helve::time::{Date, SECOND};
use helve::{Directory, Error, Kind, io, path, registry};

/// How to show names.
#[derive(Clone, Copy, Debug)]
struct Style {
    all: bool,
    long: bool,
    /// The width to fill with columns; none means one name a line.
    width: Option<usize>,
}

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    let options = Options::new(arguments, "1adl")?;
    let width = Console::of(&io::output())
        .and_then(|console| console.size())
        .map(|(columns, _)| columns);
    let style = Style {
        all: options.has('a'),
        long: options.has('l'),
        width: width
            .ok()
            .filter(|_| !options.has('1'))
            .map(|width| if width == 0 { 80 } else { width }),
    };
    let paths = if options.operands.is_empty() {
        &["."]
    } else {
        options.operands.as_slice()
    };
    let mut status = 0;
    let (mut files, mut directories) = (Vec::new(), Vec::new());
    for &path in paths {
        if path.ends_with(':') {
            directories.push(path);
            continue;
        }
        match metadata(path, !style.long && !options.has('d')) {
            Ok(about) if about.kind == Kind::Directory && !options.has('d') => {
                directories.push(path)
            }
            Ok(about) => files.push((String::from(path), about)),
            Err(error) => status = failed("ls", path, error),
        }
    }
    let several = paths.len() > 1;
    show(&files, style);
    for (place, directory) in directories.iter().enumerate() {
        if several {
            helve::println!(
                "{}{directory}:",
                if place > 0 || !files.is_empty() {
                    "\n"
                } else {
                    ""
                }
            );
        }
        let listed = match directory.strip_suffix(':') {
            Some(name) => list_registry(name),
            None => list(directory, style),
        };
        if let Err(error) = listed {
            status = failed("ls", directory, error);
        }
    }
    Ok(status)
}

/// What a registry lists, one entry a line.
fn list_registry(name: &str) -> Result<(), Error> {
    let mut rows = Vec::new();
    records(&*registry::get(name)?, |record| {
        let id = record
            .int("id")
            .map(|id| format!("{id}"))
            .unwrap_or_default();
        rows.push([id, record.string("name").unwrap_or_default().into()].into());
    })?;
    helve::print!(
        "{}",
        table::align(&rows, &[0])
            .lines()
            .map(|line| format!("{}\n", line.trim_start()))
            .collect::<String>()
    );
    Ok(())
}

fn list(directory: &str, style: Style) -> Result<(), Error> {
    let mut entries = Directory::open(directory)?.entries()?;
    entries.retain(|entry| style.all || !entry.name.starts_with('.'));
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    if !style.long {
        show_names(
            &entries
                .iter()
                .map(|entry| shown(&entry.name, entry.kind, style))
                .collect::<Vec<_>>(),
            style,
        );
        return Ok(());
    }
    let mut known = Vec::new();
    for entry in entries {
        match metadata(&path::join(directory, &entry.name), false) {
            Ok(about) => known.push((entry.name, about)),
            // It was removed meanwhile.
            Err(Error::NotFound) => {}
            Err(error) => drop(failed("ls", &entry.name, error)),
        }
    }
    show(&known, style);
    Ok(())
}

fn show(files: &[(String, Metadata)], style: Style) {
    if style.long {
        let rows: Vec<Vec<String>> = files
            .iter()
            .map(|(name, about)| long(name, about))
            .collect();
        helve::print!("{}", table::align(&rows, &[1, 2, 3, 4]));
    } else {
        show_names(
            &files
                .iter()
                .map(|(name, about)| shown(name, about.kind, style))
                .collect::<Vec<_>>(),
            style,
        );
    }
}

fn show_names(names: &[String], style: Style) {
    match style.width {
        _ if names.is_empty() => {}
        Some(width) => helve::print!("{}", table::columns(names, width)),
        None => helve::print!("{}\n", names.join("\n")),
    }
}

/// A name as it is safe to show; for people, with a mark for what it is.
fn shown(name: &str, kind: Kind, style: Style) -> String {
    let mut text = clean(name);
    if kind == Kind::Directory && style.width.is_some() {
        text.push('/');
    }
    text
}

/// A name without characters that would steer the terminal.
fn clean(name: &str) -> String {
    name.chars()
        .map(|character| {
            if character.is_control() {
                '?'
            } else {
                character
            }
        })
        .collect()
}

fn long(name: &str, about: &Metadata) -> Vec<String> {
    let target = about
        .target
        .as_deref()
        .map(|target| format!(" -> {}", clean(target)))
        .unwrap_or_default();
    Vec::from([
        mode(about.kind, about.mode),
        format!("{}", about.links),
        format!("{}", about.owner),
        format!("{}", about.group),
        format!("{}", about.size),
        format!("{}", Date::from_unix(about.modified / SECOND)),
        clean(name) + &target,
    ])
}

/// Kind and permissions as ten letters (POSIX, `ls -l`).
fn mode(kind: Kind, mode: u32) -> String {
    let mut text = String::from(match kind {
        Kind::Directory => 'd',
        Kind::Link => 'l',
        Kind::Device => 'c',
        Kind::Pipe => 'p',
        Kind::Socket => 's',
        _ => '-',
    });
    for (place, letter) in "rwxrwxrwx".chars().enumerate() {
        text.push(if mode & (0o400 >> place) != 0 {
            letter
        } else {
            '-'
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line() {
        let about = Metadata {
            kind: Kind::Link,
            size: 3,
            mode: 0o754,
            links: 1,
            owner: 0,
            group: 2,
            modified: 0,
            target: Some("x\x1b[".into()),
        };
        let expected = [
            "lrwxr-xr--",
            "1",
            "0",
            "2",
            "3",
            "1970-01-01 00:00:00",
            "a -> x?[",
        ]
        .map(String::from);
        assert_eq!(long("a", &about), expected);
        let style = |width| Style {
            all: false,
            long: false,
            width,
        };
        assert_eq!(shown("d\n", Kind::Directory, style(Some(80))), "d?/");
        assert_eq!(shown("d", Kind::Directory, style(None)), "d");
    }
}
