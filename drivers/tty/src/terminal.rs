//! A terminal: the line discipline between a line and the programs that use it, and who of them is in the foreground.
//!
//! The one idea: one lock guards discipline, output and owners, so that echo and output never mix within a write and
//! readiness is never wrong. Signals and calls to the line that lead back here happen after it is released.

use crate::discipline::{Effect, LineDiscipline};
use crate::line::{Jobs, Line};
use crate::output::Output;
use crate::signal;
use crate::termios::{Input, Local, Termios, index};
use abi::Error;
use alloc::string::String;
use alloc::sync::Arc;
use machine::sync::{Once, Spin};
use object::{Sink, Source, Verb};
use task::{Readiness, Ready, WaitQueue};
use value::{Document, Value};
use vfs::{Device, DeviceNumber, File, FileKind, Metadata, OpenRequest};

/// The size of the screen; zeros: unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowSize {
    pub rows: u16,
    pub columns: u16,
    pub width: u16,
    pub height: u16,
}

/// What [`Tty::flush`] drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// What was typed and not read.
    Input,
    /// What was written and not sent.
    Output,
    /// Both.
    Both,
}

/// A terminal.
pub struct Tty {
    name: String,
    number: DeviceNumber,
    line: Arc<dyn Line>,
    jobs: Once<Arc<dyn Jobs>>,
    state: Spin<State>,
    readiness: Readiness,
    /// Woken when output was sent.
    sent: WaitQueue,
}

struct State {
    discipline: LineDiscipline,
    output: Output,
    window: WindowSize,
    session: Option<u32>,
    foreground: Option<u32>,
    hung_up: bool,
    /// Input was refused; the line is told when there is room.
    refused: bool,
    /// VSTOP was sent because the input is nearly full.
    throttled: bool,
}

/// Bytes taken from a writer at a time.
const CHUNK: usize = 512;

impl Tty {
    /// A terminal on a line. `name` is its path in `/dev`, `number` what `stat` shows for it.
    pub fn new(name: &str, number: DeviceNumber, line: Arc<dyn Line>) -> Arc<Tty> {
        Arc::new(Tty {
            name: String::from(name),
            number,
            line,
            jobs: Once::new(),
            state: Spin::new(State {
                discipline: LineDiscipline::new(),
                output: Output::new(),
                window: WindowSize::default(),
                session: None,
                foreground: None,
                hung_up: false,
                refused: false,
                throttled: false,
            }),
            readiness: Readiness::new(Ready::WRITE),
            sent: WaitQueue::new(),
        })
    }

    /// Says who hears of signals. Only the first call counts; before it nobody does.
    pub fn set_jobs(&self, jobs: Arc<dyn Jobs>) {
        // A second owner of process groups is not heard.
        let _ = self.jobs.set(jobs);
    }

    /// The name in `/dev`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number that `stat` shows.
    pub fn number(&self) -> DeviceNumber {
        self.number
    }

    // The line's side.

    /// Takes bytes that came in; returns how many. Fewer: the rest must wait until [`Line::input_wanted`].
    pub fn input(&self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let mut state = self.state.lock();
            if state.hung_up {
                return bytes.len();
            }
            let mut effect = Effect::None;
            while let Some(&byte) = bytes.get(done) {
                let State {
                    discipline, output, ..
                } = &mut *state;
                if !discipline.takes_input() {
                    break;
                }
                effect = discipline.input(byte, output);
                done += 1;
                if effect != Effect::None {
                    break;
                }
            }
            let full = done < bytes.len() && effect == Effect::None;
            state.refused |= full;
            self.settle(&mut state);
            let foreground = state.foreground;
            drop(state);
            if let Effect::Signal(signal) = effect {
                self.signal(foreground, signal);
            }
            if full {
                break;
            }
        }
        done
    }

    /// A break came in.
    pub fn line_break(&self) {
        let mut state = self.state.lock();
        let State {
            discipline, output, ..
        } = &mut *state;
        let effect = discipline.line_break(output);
        self.settle(&mut state);
        let foreground = state.foreground;
        drop(state);
        if let Effect::Signal(signal) = effect {
            self.signal(foreground, signal);
        }
    }

    /// The line can take bytes again, or everything has left it.
    pub fn output_ready(&self) {
        self.settle(&mut self.state.lock());
        self.sent.wake_all();
    }

    /// The other side is gone: readers find the end, writers an error, and the session is told.
    pub fn hang_up(&self) {
        let mut state = self.state.lock();
        if state.hung_up {
            return;
        }
        state.hung_up = true;
        state.discipline.flush();
        state.output.clear();
        self.settle(&mut state);
        self.sent.wake_all();
        let (session, foreground) = (state.session.take(), state.foreground.take());
        drop(state);
        // The leader's group has the session's number.
        for group in [session, foreground.filter(|_| foreground != session)] {
            self.signal(group, signal::HANGUP);
            self.signal(group, signal::CONTINUE);
        }
    }

    // The programs' side, beyond reading and writing.

    /// The settings.
    pub fn settings(&self) -> Termios {
        *self.state.lock().discipline.settings()
    }

    /// Changes the settings at once. `flush` drops what was typed; to let what was written be sent under the old
    /// settings, wait for [`Tty::drained`] before.
    pub fn set_settings(&self, settings: Termios, flush: bool) {
        let mut state = self.state.lock();
        if flush {
            state.discipline.flush();
        }
        let State {
            discipline, output, ..
        } = &mut *state;
        discipline.set(settings, output);
        self.settle(&mut state);
        drop(state);
        self.line.configure(&settings);
    }

    /// The size of the screen.
    pub fn window_size(&self) -> WindowSize {
        self.state.lock().window
    }

    /// Sets the size of the screen; the foreground group hears of a change.
    pub fn set_window_size(&self, window: WindowSize) {
        let mut state = self.state.lock();
        let before = core::mem::replace(&mut state.window, window);
        let foreground = state.foreground;
        drop(state);
        if before != window {
            self.signal(foreground, signal::WINDOW);
        }
    }

    /// The session whose terminal this is.
    pub fn session(&self) -> Option<u32> {
        self.state.lock().session
    }

    /// The group that may read, and that signals go to.
    pub fn foreground(&self) -> Option<u32> {
        self.state.lock().foreground
    }

    /// Makes it the terminal of a session, whose foreground becomes `group`. `Forbidden` if another session has it.
    pub fn set_session(&self, session: u32, group: u32) -> Result<(), Error> {
        let mut state = self.state.lock();
        match state.session {
            Some(owner) if owner != session => Err(Error::Forbidden),
            Some(_) => Ok(()),
            None => {
                state.session = Some(session);
                state.foreground = Some(group);
                Ok(())
            }
        }
    }

    /// Takes it away from whatever session has it, for another.
    pub fn steal(&self, session: u32, group: u32) {
        let mut state = self.state.lock();
        state.session = Some(session);
        state.foreground = Some(group);
    }

    /// The session gives it up.
    pub fn release_session(&self, session: u32) {
        let mut state = self.state.lock();
        if state.session == Some(session) {
            state.session = None;
            state.foreground = None;
        }
    }

    /// Sets the foreground group. `NotTerminal` if it is not the terminal of that session.
    pub fn set_foreground(&self, session: u32, group: u32) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.session != Some(session) {
            return Err(Error::NotTerminal);
        }
        state.foreground = Some(group);
        Ok(())
    }

    /// Puts a group into the foreground by the authority of a handle to the terminal, whatever session has it.
    pub(crate) fn hand_over(&self, group: u32) {
        self.state.lock().foreground = Some(group);
    }

    /// Whether writers in the background are to be stopped (TOSTOP).
    pub fn stops_writers(&self) -> bool {
        self.settings().local.contains(Local::TOSTOP)
    }

    /// Bytes that can be read.
    pub fn input_waiting(&self) -> usize {
        self.state.lock().discipline.available()
    }

    /// Bytes that wait to be sent.
    pub fn output_waiting(&self) -> usize {
        self.state.lock().output.waiting()
    }

    /// Drops what waits.
    pub fn flush(&self, what: Flush) {
        let mut state = self.state.lock();
        if what != Flush::Output {
            state.discipline.flush();
        }
        if what != Flush::Input {
            state.output.clear();
        }
        self.settle(&mut state);
        self.want_input(state);
    }

    /// Stops (true) or starts the output, as VSTOP and VSTART do.
    pub fn suspend_output(&self, stop: bool) {
        let mut state = self.state.lock();
        state.output.stopped = stop;
        self.settle(&mut state);
    }

    /// Asks the other side to stop (true) or start sending.
    pub fn suspend_input(&self, stop: bool) {
        let mut state = self.state.lock();
        let place = if stop { index::VSTOP } else { index::VSTART };
        let byte = state.discipline.settings().character(place);
        if byte != 0 {
            state.output.send(byte);
        }
        self.settle(&mut state);
    }

    /// Waits until everything written has been sent. `Interrupted` if a signal came first.
    pub async fn drained(&self) -> Result<(), Error> {
        let sent = || {
            let state = self.state.lock();
            (state.hung_up || (state.output.waiting() == 0 && self.line.is_idle())).then_some(())
        };
        self.sent
            .wait_until(sent)
            .await
            .map_err(|_| Error::Interrupted)
    }

    /// Sends what can be sent, and makes readiness true again. Ends every change of the state.
    fn settle(&self, state: &mut State) {
        self.throttle(state);
        let before = state.output.waiting();
        if before != 0 {
            state.output.drain(|bytes| self.line.write(bytes));
        }
        if before != 0 && state.output.waiting() == 0 {
            self.sent.wake_all();
        }
        if state.hung_up {
            self.readiness
                .set(Ready::READ | Ready::WRITE | Ready::HANGUP);
            return;
        }
        if state
            .discipline
            .is_readable(least(state.discipline.settings()))
        {
            self.readiness.set(Ready::READ);
        } else {
            self.readiness.clear(Ready::READ);
        }
        // Half a queue of room, so that a writer is not woken for every few bytes.
        let room = state.output.room();
        if !state.output.stopped && room >= CHUNK {
            if !self.readiness.get().contains(Ready::WRITE) {
                self.readiness.set(Ready::WRITE);
            }
        } else {
            self.readiness.clear(Ready::WRITE);
        }
    }

    /// IXOFF: tells the other side to stop when too much waits, and to start again.
    fn throttle(&self, state: &mut State) {
        let settings = *state.discipline.settings();
        let place = match (state.discipline.is_nearly_full(), state.throttled) {
            (Some(true), false) if settings.input.contains(Input::IXOFF) => index::VSTOP,
            (Some(false), true) => index::VSTART,
            _ => return,
        };
        state.throttled = !state.throttled;
        let byte = settings.character(place);
        if byte != 0 {
            state.output.send(byte);
        }
    }

    /// Tells the line that there is room, if it was refused before. Ends the lock.
    fn want_input(&self, mut state: machine::sync::SpinGuard<'_, State>) {
        let wanted = state.refused && state.discipline.takes_input();
        if wanted {
            state.refused = false;
        }
        drop(state);
        if wanted {
            self.line.input_wanted();
        }
    }

    fn signal(&self, group: Option<u32>, signal: u8) {
        if let (Some(group), Some(jobs)) = (group, self.jobs.get()) {
            jobs.signal(group, signal);
        }
    }
}

/// Bytes without which a read waits, when there are no lines. With VTIME set, the first byte is enough: the time
/// between bytes is taken to have passed.
fn least(settings: &Termios) -> usize {
    match (
        settings.character(index::VMIN),
        settings.character(index::VTIME),
    ) {
        (least, 0) => usize::from(least),
        _ => 1,
    }
}

impl File for Tty {
    /// At most a line; without lines, what there is, once it is VMIN bytes or fills the sink.
    fn try_read(&self, _: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        let mut state = self.state.lock();
        let settings = *state.discipline.settings();
        let least = least(&settings).min(sink.room());
        if !state.discipline.is_readable(least) {
            let polls = !settings.canonical()
                && settings.character(index::VMIN) == 0
                && settings.character(index::VTIME) == 0;
            return if state.hung_up || sink.room() == 0 || polls {
                Ok(0)
            } else {
                Err(Error::WouldBlock)
            };
        }
        let count = state.discipline.read(sink).unwrap_or(0);
        self.settle(&mut state);
        self.want_input(state);
        Ok(count)
    }

    fn try_write(&self, _: u64, source: &mut dyn Source, _: bool) -> Result<(usize, u64), Error> {
        let mut chunk = [0; CHUNK];
        let mut done = 0;
        let mut state = self.state.lock();
        loop {
            if state.hung_up {
                return Err(Error::Io);
            }
            let step = source.left().min(state.output.room()).min(CHUNK);
            if step == 0 || state.output.stopped {
                break;
            }
            let Some(part) = chunk.get_mut(..step) else {
                break;
            };
            let got = source.take(part);
            let State {
                discipline, output, ..
            } = &mut *state;
            output.write(discipline.settings(), part.get(..got).unwrap_or_default());
            done += got;
            self.settle(&mut state);
            if got < step {
                break;
            }
        }
        if done == 0 && source.left() != 0 && (state.output.stopped || state.output.room() == 0) {
            self.readiness.clear(Ready::WRITE);
            return Err(Error::WouldBlock);
        }
        Ok((done, 0))
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(&self.readiness)
    }

    /// VTIME, where a read may end without a byte.
    fn read_timeout(&self) -> Option<u64> {
        let settings = self.settings();
        let tenths = u64::from(settings.character(index::VTIME));
        let ends = !settings.canonical() && settings.character(index::VMIN) == 0 && tenths != 0;
        ends.then_some(tenths * 100_000_000)
    }

    fn verbs(&self) -> &'static [Verb] {
        crate::verbs::VERBS
    }

    fn request(&self, verb: &str, argument: Document<'_>) -> Result<Value, Error> {
        crate::verbs::request(self, verb, argument)
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            device: self.number,
            mode: 0o620,
            ..Metadata::nameless(FileKind::CharacterDevice)
        }
    }

    fn title(&self) -> String {
        alloc::format!("/dev/{}", self.name)
    }
}

/// A terminal behind a device node: everybody who opens the node gets the same.
pub struct Terminal(pub Arc<Tty>);

impl Device for Terminal {
    fn open(self: Arc<Self>, _: DeviceNumber, _: &OpenRequest<'_>) -> Result<Arc<dyn File>, Error> {
        Ok(self.0.clone())
    }
}
