//! What native programs ask of a terminal.
//!
//! The one idea: the few settings that a native program needs have names; everything else stays with termios.

use crate::terminal::{Tty, WindowSize};
use crate::termios::{Local, index};
use abi::{Error, Rights};
use object::{Field, Type, Verb};
use value::{Document, Value};

pub(crate) const VERBS: &[Verb] = &[
    Verb::new("mode", Rights::INSPECT, "tells what is done with keys").gives(&[
        Field::new("canonical", Type::Boolean).about("lines are edited"),
        Field::new("echo", Type::Boolean),
        Field::new("signals", Type::Boolean).about("^C and its like signal"),
    ]),
    Verb::new(
        "set-mode",
        Rights::READ,
        "says what to do with keys; what is left out stays",
    )
    .takes(&[
        Field::optional("canonical", Type::Boolean),
        Field::optional("echo", Type::Boolean),
        Field::optional("signals", Type::Boolean),
    ]),
    Verb::new(
        "size",
        Rights::INSPECT,
        "tells the size of the screen in characters; 0 if unknown",
    )
    .gives(SIZE),
    Verb::new("set-size", Rights::WRITE, "says the size of the screen").takes(SIZE),
    Verb::new(
        "foreground",
        Rights::READ,
        "the group of this process gets the keys that signal",
    )
    .takes(&[Field::new("process", Type::Integer(0, u32::MAX as i64))]),
];

const SIZE: &[Field] = &[
    Field::new("columns", Type::Integer(0, u16::MAX as i64)),
    Field::new("rows", Type::Integer(0, u16::MAX as i64)),
];

pub(crate) fn request(tty: &Tty, verb: &str, argument: Document<'_>) -> Result<Value, Error> {
    match verb {
        "mode" => {
            let local = tty.settings().local;
            Ok(Value::build(|reply| {
                reply
                    .put("canonical", local.contains(Local::ICANON))
                    .put("echo", local.contains(Local::ECHO))
                    .put("signals", local.contains(Local::ISIG));
            })?)
        }
        "set-mode" => {
            let mut settings = tty.settings();
            for (key, flag) in [
                ("canonical", Local::ICANON),
                ("echo", Local::ECHO),
                ("signals", Local::ISIG),
            ] {
                if let Some(on) = argument.boolean(key) {
                    settings.local.set(flag, on);
                }
            }
            if !settings.canonical() {
                // Keys are read as they come.
                settings.characters[index::VMIN] = 1;
                settings.characters[index::VTIME] = 0;
            }
            tty.set_settings(settings, false);
            Ok(Value::default())
        }
        "size" => {
            let window = tty.window_size();
            Ok(Value::build(|reply| {
                reply
                    .put("columns", u32::from(window.columns))
                    .put("rows", u32::from(window.rows));
            })?)
        }
        "set-size" => {
            let length = |key| {
                let length = argument.unsigned(key).ok_or(Error::Invalid)?;
                u16::try_from(length).map_err(|_| Error::Invalid)
            };
            tty.set_window_size(WindowSize {
                columns: length("columns")?,
                rows: length("rows")?,
                ..WindowSize::default()
            });
            Ok(Value::default())
        }
        "foreground" => {
            let process = argument.unsigned("process").ok_or(Error::Invalid)?;
            tty.hand_over(u32::try_from(process).map_err(|_| Error::Invalid)?);
            Ok(Value::default())
        }
        _ => Err(Error::NotFound),
    }
}
