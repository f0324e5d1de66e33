//! The libraries of dynamic programs, found without running anything: as ld.so(8) would look for them.
//!
//! The one idea: what matters is what the loader will find in the guest. So every place is a pair, where it is here and
//! where it is there, and what was found is given along at the place where the guest's loader looks for it.

mod cache;
mod dynamic;

use crate::exec::session::Give;
use cache::Cache;
use dynamic::Dynamic;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where loaders look when nothing says otherwise: those of Debian, Fedora and others, and musl's.
const DEFAULT: [&str; 7] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/local/lib",
    "/usr/lib",
];

/// What `$LIB` and `$PLATFORM` stand for.
const LIB: &str = "lib/x86_64-linux-gnu";
const PLATFORM: &str = "x86_64";

/// Where the loader's list of libraries is.
const CACHE: &str = "/etc/ld.so.cache";

/// The C library, and what it opens by itself when a thread is cancelled or leaves early.
const C_LIBRARY: &str = "libc.so.6";
const UNWINDER: &str = "libgcc_s.so.1";

/// Why the program could not run.
#[derive(Debug, PartialEq, Eq)]
pub enum Missing {
    Interpreter {
        program: String,
        path: String,
    },
    Library {
        name: String,
        /// The guest path of what needs it.
        of: String,
        looked: Vec<String>,
    },
    Damaged {
        path: String,
        why: String,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Interpreter { program, path } => {
                write!(f, "{program} needs {path}, which is not on this machine")
            }
            Missing::Library { name, of, looked } if looked.is_empty() => {
                write!(f, "{of} needs {name}, which is not on this machine")
            }
            Missing::Library { name, of, looked } => write!(
                f,
                "{of} needs {name}, which is in none of {}",
                looked.join(", ")
            ),
            Missing::Damaged { path, why } => write!(f, "{path}: {why}"),
        }
    }
}

impl std::error::Error for Missing {}

/// What the guest gets besides, and where else to look for it.
#[derive(Debug, Default)]
pub struct Surroundings<'a> {
    /// Directories that are looked in before `/`, as if they were it: unpacked packages.
    pub roots: &'a [PathBuf],
    /// What is given anyway.
    pub gives: &'a [Give],
    /// The program's environment: `LD_LIBRARY_PATH` and `LD_PRELOAD` count.
    pub environment: &'a [OsString],
}

/// Everything that these programs and the files that are given need to be loaded, and that is not given yet.
///
/// What is in a given directory may be anything, so what it needs and is not there is left out; all else must be there.
pub fn needed(programs: &[Give], around: &Surroundings<'_>) -> Result<Vec<Give>, Missing> {
    let mut search = Search::new(around);
    for program in programs {
        search.must_have(program)?;
    }
    for give in around.gives {
        if give.host.is_dir() {
            search.tree(give);
        } else {
            search.must_have(give)?;
        }
    }
    Ok(search.found())
}

/// A file that may need others.
#[derive(Clone)]
struct Object {
    host: PathBuf,
    guest: String,
    /// The run paths that it inherits from those which need it.
    inherited: Vec<Directory>,
}

/// A directory, here and in the guest. Here it may be in several places.
#[derive(Clone, PartialEq, Eq)]
struct Directory {
    guest: String,
    /// If it is not where the guest has it: below the place of a program that was put elsewhere.
    host: Option<PathBuf>,
}

impl Directory {
    /// Where the guest has it.
    fn at(guest: &str) -> Directory {
        Directory {
            guest: guest.into(),
            host: None,
        }
    }
}

struct Search<'a> {
    around: &'a Surroundings<'a>,
    cache: Cache,
    library_path: Vec<String>,
    found: BTreeMap<String, PathBuf>,
    /// Names that are satisfied.
    names: BTreeSet<String>,
    uses_cache: bool,
}

impl<'a> Search<'a> {
    fn new(around: &'a Surroundings<'a>) -> Search<'a> {
        let mut search = Search {
            around,
            cache: Cache::default(),
            library_path: Vec::new(),
            found: BTreeMap::new(),
            names: BTreeSet::new(),
            uses_cache: false,
        };
        search.library_path = search
            .variable("LD_LIBRARY_PATH")
            .split([':', ';'])
            .filter(|part| part.starts_with('/'))
            .map(str::to_string)
            .collect();
        if let Some(file) = search.host(CACHE) {
            search.cache = Cache::parse(&fs::read(file).unwrap_or_default());
        }
        search
    }

    fn variable(&self, name: &str) -> String {
        let values = self.around.environment.iter().rev();
        let values = values.filter_map(|entry| entry.to_str()?.split_once('='));
        let found = values
            .filter(|(key, _)| *key == name)
            .map(|(_, v)| v)
            .next();
        found.unwrap_or_default().to_string()
    }

    fn found(self) -> Vec<Give> {
        let mut all = self.found;
        if self.uses_cache && !self.around.gives.iter().any(|give| give.guest == CACHE) {
            all.insert(CACHE.into(), CACHE.into());
        }
        all.iter()
            .map(|(guest, host)| Give::new(host, guest))
            .collect()
    }

    /// Where here the file is that the guest will have at this path.
    fn host(&self, guest: &str) -> Option<PathBuf> {
        let given = self.around.gives.iter().find_map(|give| {
            let below = guest.strip_prefix(give.guest.trim_end_matches('/'))?;
            match below.strip_prefix('/') {
                Some(below) => Some(give.host.join(below)),
                None => below.is_empty().then(|| give.host.clone()),
            }
        });
        let roots = self.around.roots.iter().map(PathBuf::as_path);
        let mut places = given.into_iter().chain(
            roots
                .chain([Path::new("/")])
                .map(|root| root.join(guest.trim_start_matches('/'))),
        );
        places.find(|path| path.is_file())
    }

    fn is_given(&self, guest: &str, host: &Path) -> bool {
        self.around
            .gives
            .iter()
            .any(|give| host.starts_with(&give.host) && Path::new(guest).starts_with(&give.guest))
    }

    /// A program or library that must be complete.
    fn must_have(&mut self, give: &Give) -> Result<(), Missing> {
        // What a program finds beside itself is where it really is.
        let host = fs::canonicalize(&give.host).unwrap_or_else(|_| give.host.clone());
        let Some(dynamic) = self.read(&host, &give.guest)? else {
            return Ok(());
        };
        if let Some(path) = &dynamic.interpreter {
            let host = self.host(path).ok_or_else(|| Missing::Interpreter {
                program: give.guest.clone(),
                path: path.clone(),
            })?;
            self.names.extend(
                Path::new(path)
                    .file_name()
                    .and_then(|name| name.to_str())
                    .map(str::to_string),
            );
            self.keep(path.clone(), host);
        }
        let program = Object {
            host,
            guest: give.guest.clone(),
            inherited: Vec::new(),
        };
        self.close(program, dynamic)
    }

    /// What is in a given directory: as much as is there.
    fn tree(&mut self, give: &Give) {
        let mut rest = vec![give.clone()];
        while let Some(Give { host, guest }) = rest.pop() {
            if host.is_dir() && !host.is_symlink() {
                for entry in fs::read_dir(&host).into_iter().flatten().flatten() {
                    if let Some(name) = entry.file_name().to_str() {
                        let guest = format!("{}/{name}", guest.trim_end_matches('/'));
                        rest.push(Give::new(&entry.path(), &guest));
                    }
                }
            } else if host.is_file() {
                let _ = self.must_have(&Give { host, guest });
            }
        }
    }

    /// Finds what an object needs, what that needs, and so on.
    fn close(&mut self, first: Object, dynamic: Dynamic) -> Result<(), Missing> {
        let mut waiting = VecDeque::from([(first.clone(), dynamic)]);
        let preload = self.variable("LD_PRELOAD");
        for name in preload.split([':', ' ']).filter(|name| !name.is_empty()) {
            // The loader says so itself if there is none, and goes on.
            waiting.extend(self.find(name, &first, &[]).unwrap_or_default());
        }
        while let Some((object, dynamic)) = waiting.pop_front() {
            let (paths, inherited) = self.run_paths(&object, &dynamic);
            for name in &dynamic.needed {
                let found = self.find(name, &object, &paths)?;
                waiting.extend(found.into_iter().map(|(found, dynamic)| {
                    let inherited = inherited.clone();
                    (Object { inherited, ..found }, dynamic)
                }));
            }
            if dynamic.needed.iter().any(|name| name == C_LIBRARY) {
                // It does without if nobody ends a thread in that way.
                waiting.extend(self.find(UNWINDER, &object, &[]).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Where the loader looks for what this object needs, before it looks everywhere; and what its libraries inherit of that.
    fn run_paths(&self, object: &Object, dynamic: &Dynamic) -> (Vec<Directory>, Vec<Directory>) {
        let expand = |list: &Option<String>| -> Vec<Directory> {
            let parts = list.iter().flat_map(|list| list.split(':'));
            parts.filter_map(|part| expanded(part, object)).collect()
        };
        let environment: Vec<_> = self
            .library_path
            .iter()
            .map(|path| Directory::at(path))
            .collect();
        match &dynamic.run_path {
            Some(_) => {
                let paths = [environment, expand(&dynamic.run_path)].concat();
                (paths, object.inherited.clone())
            }
            None => {
                let old = [expand(&dynamic.old_run_path), object.inherited.clone()].concat();
                ([old.clone(), environment].concat(), old)
            }
        }
    }

    /// Finds one library by name, unless it is there already.
    fn find(
        &mut self,
        name: &str,
        of: &Object,
        paths: &[Directory],
    ) -> Result<Vec<(Object, Dynamic)>, Missing> {
        if self.names.contains(name) {
            return Ok(Vec::new());
        }
        let mut hits = self.candidates(name, of, paths);
        hits.retain(|(host, guest)| matches!(self.read(host, guest), Ok(Some(_))));
        if hits.is_empty() {
            let looked = paths.iter().map(|path| path.guest.clone());
            return Err(Missing::Library {
                name: name.into(),
                of: of.guest.clone(),
                looked: looked.collect(),
            });
        }
        self.names.insert(name.into());
        let mut objects = Vec::new();
        for (host, guest) in hits {
            let Some(dynamic) = self.read(&host, &guest)? else {
                continue;
            };
            self.names.extend(dynamic.name.clone());
            let at = |path: &str| Path::new(path) == parent(&guest);
            let known = name.contains('/') || DEFAULT.iter().any(|path| at(path));
            self.uses_cache |= !known && !paths.iter().any(|path| at(&path.guest));
            self.keep(guest.clone(), host.clone());
            let object = Object {
                host,
                guest,
                inherited: Vec::new(),
            };
            objects.push((object, dynamic));
        }
        Ok(objects)
    }

    /// Where the loader would find it: one place, or all that its list names, of which it chooses by the processor.
    fn candidates(&self, name: &str, of: &Object, paths: &[Directory]) -> Vec<(PathBuf, String)> {
        if name.contains('/') {
            let place = expanded(name, of).and_then(|place| {
                let host = place.host.or_else(|| self.host(&place.guest))?;
                Some((host, place.guest))
            });
            return place.into_iter().collect();
        }
        let inside = |directory: &Directory| {
            let guest = format!("{}/{name}", directory.guest.trim_end_matches('/'));
            let elsewhere = directory.host.as_ref().map(|host| host.join(name));
            let host = elsewhere.filter(|host| host.is_file());
            Some((host.or_else(|| self.host(&guest))?, guest))
        };
        if let Some(hit) = paths.iter().find_map(inside) {
            return vec![hit];
        }
        let listed: Vec<_> = self
            .cache
            .paths(name)
            .filter_map(|guest| Some((self.host(guest)?, guest.to_string())))
            .collect();
        if !listed.is_empty() {
            return listed;
        }
        let mut default = DEFAULT.iter().map(|path| Directory::at(path));
        default.find_map(|path| inside(&path)).into_iter().collect()
    }

    fn keep(&mut self, guest: String, host: PathBuf) {
        if !self.is_given(&guest, &host) {
            self.found.insert(guest, host);
        }
    }

    /// What the file says of itself; `None` if it is no x86-64 ELF file, or asks for nothing.
    fn read(&self, host: &Path, guest: &str) -> Result<Option<Dynamic>, Missing> {
        let damaged = |why: String| Missing::Damaged {
            path: guest.into(),
            why,
        };
        let mut file = File::open(host).map_err(|error| damaged(error.to_string()))?;
        let mut bytes = Vec::new();
        let read = |file: &mut File, limit: u64, bytes: &mut Vec<u8>| {
            let read = file.take(limit).read_to_end(bytes);
            read.map_err(|error| damaged(error.to_string()))
        };
        read(&mut file, 64, &mut bytes)?;
        if !dynamic::is_ours(&bytes) {
            return Ok(None);
        }
        read(&mut file, u64::MAX, &mut bytes)?;
        dynamic::read(bytes).map_err(|error| damaged(error.to_string()))
    }
}

/// A run path or a path of a library, with what stands for something in it.
fn expanded(path: &str, object: &Object) -> Option<Directory> {
    let path = path
        .replace("${ORIGIN}", "$ORIGIN")
        .replace("${LIB}", LIB)
        .replace("$LIB", LIB)
        .replace("${PLATFORM}", PLATFORM)
        .replace("$PLATFORM", PLATFORM);
    match path.strip_prefix("$ORIGIN") {
        Some(rest) => {
            let host = object.host.parent()?.join(rest.trim_start_matches('/'));
            Some(Directory {
                guest: normal(&format!("{}/{rest}", parent(&object.guest).to_str()?)),
                host: Some(host),
            })
        }
        // One that begins where the program happens to be started says nothing.
        None => path.starts_with('/').then(|| Directory::at(&normal(&path))),
    }
}

fn parent(path: &str) -> &Path {
    Path::new(path).parent().unwrap_or(Path::new("/"))
}

/// Without empty parts, `.` and `..`, as the guest's files are named.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests;
