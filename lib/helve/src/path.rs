//! Paths as text: joining, splitting, tidying. Nothing here asks the kernel.

use alloc::string::String;
use alloc::vec::Vec;

/// Splits `registry:path`. `None` when there is no registry's name in front: a name is letters, digits and `-`, and
/// comes before any `/`.
pub fn split_registry(uri: &str) -> Option<(&str, &str)> {
    let (name, path) = uri.split_once(':')?;
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_name.then_some((name, path))
}

/// `path` as seen from `directory`; `path` alone if it is absolute. Nothing is resolved: `..` stays for the kernel,
/// which knows where symbolic links lead.
pub fn join(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.into();
    }
    let mut joined = String::from(directory);
    if !joined.ends_with('/') {
        joined.push('/');
    }
    joined.push_str(path);
    joined
}

/// The path without `.`, `..` and doubled `/`, as text: what `cd ..` means to a user. The root's `..` is the root.
pub fn tidy(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    let mut tidy = String::new();
    for name in &names {
        tidy.push('/');
        tidy.push_str(name);
    }
    if tidy.is_empty() {
        tidy.push('/');
    }
    tidy
}

/// The last name of a path, `/` for the root.
pub fn name(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        Some("") | None => "/",
        Some(name) => name,
    }
}

/// Everything before the last name: `.` when there is nothing.
pub fn parent(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rfind('/') {
        None if trimmed.len() < path.len() && trimmed.is_empty() => "/",
        None => ".",
        Some(end) => match trimmed.get(..end).map(|front| front.trim_end_matches('/')) {
            Some("") | None => "/",
            Some(front) => front,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries() {
        assert_eq!(split_registry("file:/etc/x:y"), Some(("file", "/etc/x:y")));
        assert_eq!(split_registry("device:power"), Some(("device", "power")));
        assert_eq!(split_registry("./a:b"), None);
        assert_eq!(split_registry(":b"), None);
        assert_eq!(split_registry("plain"), None);
    }

    #[test]
    fn joining_and_tidying() {
        assert_eq!(join("/a", "b/../c"), "/a/b/../c");
        assert_eq!(join("/", "b"), "/b");
        assert_eq!(join("/a", "/b"), "/b");
        assert_eq!(tidy("/a/./b//../c/"), "/a/c");
        assert_eq!(tidy("/../.."), "/");
    }

    #[test]
    fn names() {
        assert_eq!((parent("/a/b/"), name("/a/b/")), ("/a", "b"));
        assert_eq!((parent("/a"), name("/a")), ("/", "a"));
        assert_eq!((parent("a"), name("a")), (".", "a"));
        assert_eq!((parent("/"), name("/")), ("/", "/"));
    }
}
