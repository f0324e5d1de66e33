//! A place where objects are found by name: `device:`, `log:`, and whatever else is a set of named things.
//!
//! The one idea: an entry is a handle. So an entry may be an object or another registry (a *link*), it keeps what it
//! names alive, and nobody gets more rights through it than the entry has. Kinds with an order of their own (files,
//! processes) implement [`Object`] themselves.

use crate::{Handle, Kind, Object, OpenFlags, Opened, Records, Rights, Sink};
use abi::Error;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use machine::sync::Spin;
use value::Builder;

/// Named handles.
///
/// Opening `name` gives the entry; `name/rest` leads on to `rest` in the entry; the empty path gives nothing. Reading
/// lists the entries as [`Records`] with `name`, `kind` and, for links to other registries, `link: true`.
pub struct Registry {
    entries: Spin<Entries>,
}

struct Entries {
    by_name: BTreeMap<Box<str>, Entry>,
    /// Serial numbers are offsets of the list: they go up, and stay valid when entries come and go.
    by_serial: BTreeMap<u64, Box<str>>,
    serial: u64,
}

struct Entry {
    handle: Handle,
    serial: u64,
}

/// The longest name of an entry, in bytes.
const LONGEST: usize = 255;

impl Registry {
    /// With nothing in it.
    pub const fn new() -> Self {
        Registry {
            entries: Spin::new(Entries {
                by_name: BTreeMap::new(),
                by_serial: BTreeMap::new(),
                serial: 0,
            }),
        }
    }

    /// Adds an entry. The rights of `handle` are the most that anybody can open it with.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::Invalid`] for an empty name, one with `/`, or a very long one.
    pub fn insert(&self, name: &str, handle: Handle) -> Result<(), Error> {
        if name.is_empty() || name.len() > LONGEST || name.contains(['/', '\0']) {
            return Err(Error::Invalid);
        }
        let mut entries = self.entries.lock();
        if entries.by_name.contains_key(name) {
            return Err(Error::Exists);
        }
        entries.serial += 1;
        let serial = entries.serial;
        entries.by_serial.insert(serial, name.into());
        let entry = Entry { handle, serial };
        entries.by_name.insert(name.into(), entry);
        Ok(())
    }

    /// Takes an entry out. Whoever has opened it keeps it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove(&self, name: &str) -> Result<Handle, Error> {
        let mut entries = self.entries.lock();
        let entry = entries.by_name.remove(name).ok_or(Error::NotFound)?;
        entries.by_serial.remove(&entry.serial);
        Ok(entry.handle)
    }

    /// The entry of this name, with the rights it has.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn get(&self, name: &str) -> Result<Handle, Error> {
        let entries = self.entries.lock();
        let entry = entries.by_name.get(name).ok_or(Error::NotFound)?;
        Ok(entry.handle.clone())
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.lock().by_name.len()
    }

    /// Calls `f` with the entry of this name, if there is one, without counting a reference. The entries are locked.
    pub(crate) fn with(&self, name: &str, f: impl FnOnce(&Handle)) {
        if let Some(entry) = self.entries.lock().by_name.get(name) {
            f(&entry.handle);
        }
    }

    /// Takes all entries out.
    pub(crate) fn empty(&self, into: &mut Vec<Handle>) {
        let mut entries = self.entries.lock();
        entries.by_serial.clear();
        let taken = core::mem::take(&mut entries.by_name);
        into.extend(taken.into_values().map(|entry| entry.handle));
    }

    /// The first entry after the one with this serial number.
    fn after(&self, serial: u64) -> Option<(u64, Box<str>, Kind)> {
        let entries = self.entries.lock();
        let (&serial, name) = entries.by_serial.range(serial.checked_add(1)?..).next()?;
        let entry = entries.by_name.get(name)?;
        Some((serial, name.clone(), entry.handle.kind()))
    }
}

impl Object for Registry {
    fn kind(&self) -> Kind {
        Kind::Registry
    }

    fn open<'p>(
        &self,
        path: &'p str,
        rights: Rights,
        flags: OpenFlags,
    ) -> Result<Opened<'p>, Error> {
        open(path, rights, flags, |name| self.get(name))
    }

    fn try_read(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        if offset == abi::NEXT {
            return Err(Error::Invalid);
        }
        let mut records = Records::new(sink);
        let mut serial = offset;
        while let Some((found, name, kind)) = self.after(serial) {
            let fits = records.put(found, |record| {
                record.put("name", &*name).put("kind", kind.name());
                if kind == Kind::Registry {
                    record.put("link", true);
                }
            })?;
            if !fits {
                break;
            }
            serial = found;
        }
        Ok(records.done())
    }

    fn describe(&self, into: &mut Builder) {
        into.put("entries", self.entries.lock().by_name.len());
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.lock();
        f.debug_set().entries(entries.by_name.keys()).finish()
    }
}

/// Opens what `get` finds under the first name of a path, or hands the rest of the path on to it.
pub(crate) fn open<'p>(
    path: &'p str,
    rights: Rights,
    flags: OpenFlags,
    get: impl FnOnce(&str) -> Result<Handle, Error>,
) -> Result<Opened<'p>, Error> {
    let (name, rest) = first_name(path).ok_or(Error::NotFound)?;
    let handle = match get(name) {
        Err(Error::NotFound) if flags.contains(OpenFlags::CREATE) && rest.is_empty() => {
            // Entries are made by whoever owns the objects, not by opening.
            return Err(Error::Unsupported);
        }
        found => found?,
    };
    if !rest.is_empty() {
        return Ok(Opened::Beyond(handle, rest));
    }
    if flags.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) {
        return Err(Error::Exists);
    }
    handle.check(rights)?;
    Ok(handle.into_restricted(rights).into())
}

/// Splits a path at its first `/`: the first name and the rest, without the slashes between and before. `None`: there
/// is no name in it.
pub fn first_name(path: &str) -> Option<(&str, &str)> {
    let path = path.trim_start_matches('/');
    let (name, rest) = path.split_once('/').unwrap_or((path, ""));
    (!name.is_empty()).then_some((name, rest.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Field, Type, Verb};
    use alloc::sync::Arc;
    use value::{Document, Value};

    struct Lamp;

    impl Object for Lamp {
        fn kind(&self) -> Kind {
            Kind::Device
        }

        fn request(&self, verb: &str, argument: Document<'_>) -> Result<Value, Error> {
            match verb {
                "shine" => {
                    let level = argument.int("level").ok_or(Error::Invalid)?;
                    Ok(Value::build(|reply| {
                        reply.put("lumen", level * 100);
                    })?)
                }
                _ => Err(Error::NotFound),
            }
        }

        fn describe(&self, into: &mut Builder) {
            into.put("watt", 40);
        }

        fn verbs(&self) -> &'static [Verb] {
            VERBS
        }
    }

    const VERBS: &[Verb] = &[Verb::new("shine", Rights::WRITE, "gives light")
        .takes(&[Field::new("level", Type::Integer(0, 10))])
        .gives(&[Field::new("lumen", Type::NUMBER)])];

    fn house() -> Registry {
        let room = Registry::new();
        room.insert(
            "lamp",
            Handle::new(Arc::new(Lamp), Rights::READ | Rights::WRITE),
        )
        .unwrap();
        let house = Registry::new();
        house
            .insert(
                "room",
                Handle::new(Arc::new(room), Rights::LIST | Rights::READ),
            )
            .unwrap();
        house
            .insert("door", Handle::new(Arc::new(Lamp), Rights::READ))
            .unwrap();
        house
    }

    #[test]
    fn paths_lead_through_links() {
        let house = house();
        let house = Handle::new(Arc::new(house), Rights::all());
        let find = |path, rights, flags: OpenFlags| -> Result<Handle, Error> {
            let (mut at, mut rest) = (house.clone(), path);
            let mut needed = Rights::LIST;
            needed.set(Rights::CREATE, flags.contains(OpenFlags::CREATE));
            loop {
                match at.open(needed | rights, rest, rights, flags)? {
                    Opened::Object(handle) => return Ok(handle),
                    Opened::Beyond(handle, on) => (at, rest) = (handle, on),
                }
            }
        };
        let open = |path, rights| find(path, rights, OpenFlags::empty());
        let lamp = open("/room//lamp", Rights::READ).unwrap();
        assert_eq!((lamp.kind(), lamp.rights()), (Kind::Device, Rights::READ));
        assert_eq!(open("room/lamp", Rights::MAP).unwrap_err(), Error::Denied);
        // The lamp could, the way there cannot.
        assert_eq!(open("room/lamp", Rights::WRITE).unwrap_err(), Error::Denied);
        assert_eq!(open("door", Rights::WRITE).unwrap_err(), Error::Denied);
        assert_eq!(open("door/knob", Rights::READ).unwrap_err(), Error::Denied);
        assert_eq!(
            open("room/table", Rights::READ).unwrap_err(),
            Error::NotFound
        );
        assert_eq!(open("", Rights::READ).unwrap_err(), Error::NotFound);
        let create = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let made = |path| find(path, Rights::READ, create).unwrap_err();
        assert_eq!(made("door"), Error::Exists);
        assert_eq!(made("window"), Error::Unsupported);
        assert_eq!(made("room/chair"), Error::Denied);
    }

    #[test]
    fn lists_go_on_where_they_ended() {
        let house = house();
        house
            .insert("roof", Handle::new(Arc::new(Lamp), Rights::READ))
            .unwrap();
        let mut names = Vec::new();
        let mut offset = 0;
        loop {
            let mut buffer = [0; 64];
            let mut sink = crate::SliceSink::new(&mut buffer);
            let count = house.try_read(offset, &mut sink).unwrap();
            if count == 0 {
                break;
            }
            let mut rest = &buffer[..count];
            while !rest.is_empty() {
                let (record, after) = Document::parse_front(rest).unwrap();
                names.push(alloc::string::String::from(record.string("name").unwrap()));
                offset = record.unsigned("next").unwrap();
                rest = after;
            }
            // What comes and goes meanwhile does not disturb the place.
            let _ = house.remove("room");
        }
        assert_eq!(names, ["room", "door", "roof"]);
        let mut small = [0; 10];
        let error = house.try_read(0, &mut crate::SliceSink::new(&mut small));
        assert_eq!(error, Err(Error::TooLarge));
    }

    #[test]
    fn verbs_need_their_rights() {
        let lamp = Handle::new(Arc::new(Lamp), Rights::WRITE | Rights::INSPECT);
        let level = Value::build(|argument| {
            argument.put("level", 3);
        })
        .unwrap();
        let reply = lamp.request("shine", level.as_document()).unwrap();
        assert_eq!(reply.value.as_document().int("lumen"), Some(300));
        assert!(reply.handles.is_empty());
        let ask = |handle: &Handle, verb| handle.request(verb, Document::EMPTY).err();
        assert_eq!(ask(&lamp, "shine"), Some(Error::Invalid));
        assert_eq!(ask(&lamp, "explode"), Some(Error::NotFound));
        assert_eq!(
            ask(&lamp.restrict(Rights::READ), "shine"),
            Some(Error::Denied)
        );
    }

    #[test]
    fn inspect_tells_no_more_than_it_may() {
        let lamp = Handle::new(Arc::new(Lamp), Rights::WRITE | Rights::INSPECT);
        let value = lamp.inspect().unwrap();
        let told = value.as_document();
        assert_eq!(told.string("kind"), Some("device"));
        assert_eq!(told.unsigned("references"), Some(1));
        assert_eq!(told.document("object").unwrap().int("watt"), Some(40));
        let value = lamp.restrict(Rights::WRITE).inspect().unwrap();
        let told = value.as_document();
        assert_eq!(told.string("kind"), Some("device"));
        assert!(told.get("object").is_none() && told.get("references").is_none());
    }

    #[test]
    fn namespaces_hold_handles_by_name() {
        let namespace = crate::Namespace::new();
        let house = Handle::new(Arc::new(house()), Rights::LIST | Rights::READ);
        assert!(namespace.insert("house", house.clone()).unwrap().is_none());
        assert_eq!(namespace.insert("a:b", house).unwrap_err(), Error::Invalid);
        let less = namespace.restrict(Rights::READ);
        assert_eq!(less.get("house").unwrap().rights(), Rights::READ);
        assert!(
            namespace
                .get("house")
                .unwrap()
                .rights()
                .contains(Rights::LIST)
        );
        assert!(less.remove("house").is_ok());
        assert_eq!(less.get("house").unwrap_err(), Error::NotFound);
        assert_eq!(namespace.entries().len(), 1);
    }
}
