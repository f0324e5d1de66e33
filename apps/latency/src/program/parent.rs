//! Who starts the workers, counts what they find, and shows it.

use crate::WORKER;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use commands::screen::Screen;
use helve::process::pipe;
use helve::terms::Terms;
use helve::{Child, Command, CpuSet, Error, Event, Events, Handle, Port};
use helve::{environment, system, time};
use latency_report::picture::{Outcome, picture};
use latency_report::plan::Plan;
use latency_report::sample::{Sample, Samples};
use latency_report::tally::Tally;
use latency_report::value::value;

/// Between two pictures, in nanoseconds.
const REFRESH: u64 = time::SECOND / 2;
/// How long workers may take to end, in nanoseconds.
const PATIENCE: u64 = time::SECOND;

/// Whether nobody was later than the plan allows.
pub fn run(plan: Plan) -> Result<bool, Error> {
    let input = environment::handle("in").ok();
    let input = input.as_deref().filter(|_| !plan.quiet);
    let screen = input.and_then(|input| Screen::new(input).ok());
    let plan = match screen {
        Some(_) => plan,
        None => plan.with_an_end(),
    };
    let mut measured = Measured::start(&plan)?;
    let ended = measured.collect(screen.as_ref(), input);
    measured.workers.iter().for_each(Worker::end);
    let outcome = measured.outcome()?;
    match &screen {
        Some(screen) => screen.show(&picture(&outcome.as_ref(&measured)))?,
        None if !plan.json => helve::print!("{}", picture(&outcome.as_ref(&measured))),
        None => {}
    }
    drop(screen);
    if plan.json {
        helve::println!("{}", value(&outcome.as_ref(&measured))?.as_document());
    }
    ended.map(|()| !measured.is_too_late())
}

/// One on a processor.
struct Worker {
    child: Child,
    /// It waits for a byte here before each of its steps.
    go: Handle,
}

impl Worker {
    /// Starts one that waits to be told where to run.
    fn start(number: usize, plan: &Plan, found: &Handle) -> Result<Worker, Error> {
        let (wait, go) = pipe()?;
        let own = environment::arguments().next().unwrap_or_default();
        let search = environment::variable("PATH").unwrap_or_default();
        let program = commands::find_program(&own, &search).ok_or(Error::NotFound)?;
        let time = plan.time.unwrap_or(u64::MAX);
        let numbers = [number as u64, plan.interval, plan.count, time];
        let numbers = numbers.map(|number| format!("{number}"));
        let child = Command::new(&program)
            .argument(WORKER)
            .arguments(numbers.iter().map(String::as_str))
            .give("in", &wait)
            .give("out", found)
            .start()?;
        Ok(Worker { child, go })
    }

    fn go_on(&self) -> Result<(), Error> {
        self.go.write_all(&[0])
    }

    fn end(&self) {
        // One that has ended already needs nothing more.
        let _ = self.child.kill(9);
        let _ = self.child.wait();
    }
}

/// What is measured so far.
struct Measured<'p> {
    plan: &'p Plan,
    workers: Vec<Worker>,
    tallies: Vec<Tally>,
    found: Handle,
    samples: Samples,
    started: u64,
    /// How long a look at the clock takes, in nanoseconds.
    clock: u64,
    /// The kernel measures itself meanwhile, if it may be asked to.
    kernel: Option<Handle>,
}

impl<'p> Measured<'p> {
    fn start(plan: &'p Plan) -> Result<Measured<'p>, Error> {
        let clock = look_at_the_clock()?;
        let (found, write) = pipe()?;
        let all = system::cpus()?.len();
        let cpus = plan.cpus.unwrap_or(CpuSet::first(all));
        let mut measured = Measured {
            plan,
            workers: Vec::new(),
            tallies: cpus.iter().map(Tally::new).collect(),
            found,
            samples: Samples::default(),
            started: 0,
            clock,
            kernel: None,
        };
        match measured.start_workers(&write) {
            Ok(()) => {}
            Err(error) => {
                measured.workers.iter().for_each(Worker::end);
                return Err(error);
            }
        }
        measured.begin()?;
        Ok(measured)
    }

    fn start_workers(&mut self, write: &Handle) -> Result<(), Error> {
        for (number, tally) in self.tallies.iter().enumerate() {
            let worker = Worker::start(number, self.plan, write)?;
            let cpus = Some(CpuSet(1 << tally.cpu));
            let placed = worker.child.compete(&Terms { class: None, cpus });
            self.workers.push(worker);
            placed?;
        }
        for worker in &self.workers {
            worker.go_on()?;
        }
        self.wait_until_ready()?;
        let class = Some(self.plan.class);
        for worker in &self.workers {
            worker.child.compete(&Terms { class, cpus: None })?;
        }
        self.workers.iter().try_for_each(Worker::go_on)
    }

    /// Waits until every worker is where it belongs.
    fn wait_until_ready(&mut self) -> Result<(), Error> {
        let mut missing = self.workers.len();
        while missing > 0 {
            let soon = time::now()?.saturating_add(REFRESH);
            match self.found.wait_until(Events::READ, soon) {
                Ok(_) => {
                    self.read(|_, sample| {
                        missing -= usize::from(matches!(sample, Sample::Ready { .. }));
                    })?;
                }
                // One that has ended will not come.
                Err(Error::TimedOut) => {
                    for worker in &self.workers {
                        if worker.child.status()?.is_some() {
                            return Err(Error::NoProcess);
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// From now on it counts; what was before is forgotten.
    fn begin(&mut self) -> Result<(), Error> {
        for tally in &mut self.tallies {
            *tally = Tally::new(tally.cpu);
        }
        self.kernel = system::measure().ok();
        self.started = time::now()?;
        Ok(())
    }

    /// Takes what the workers have found; `false`: they have all ended.
    fn read(&mut self, mut take: impl FnMut(&mut [Tally], Sample)) -> Result<bool, Error> {
        let mut bytes = [0; 4096];
        let count = self.found.read(&mut bytes)?;
        let tallies = &mut self.tallies;
        let read = bytes.get(..count).unwrap_or_default();
        self.samples.feed(read, |sample| take(tallies, sample));
        Ok(count > 0)
    }

    fn count(&mut self) -> Result<bool, Error> {
        let interval = self.plan.interval;
        self.read(|tallies, sample| {
            if let Sample::Late {
                worker,
                nanoseconds,
            } = sample
                && let Some(tally) = tallies.get_mut(usize::from(worker))
            {
                tally.add(nanoseconds, interval);
            }
        })
    }

    /// Counts until the workers have ended, time is up, or the user wants no more.
    fn collect(
        &mut self,
        screen: Option<&Screen<'_>>,
        input: Option<&Handle>,
    ) -> Result<(), Error> {
        const FOUND: u64 = 0;
        const KEYS: u64 = 1;
        let port = Port::new()?;
        port.watch(&self.found, Events::READ, FOUND)?;
        if let Some(keys) = input.filter(|_| screen.is_some()) {
            port.watch(keys, Events::READ, KEYS)?;
        }
        // The workers know when they shall end; one that does not come to run is not waited for.
        let time = self.plan.time.map(|time| time.saturating_add(PATIENCE));
        let end = time.map_or(helve::NEVER, |time| self.started.saturating_add(time));
        let mut refresh = self.started;
        loop {
            let now = time::now()?;
            if now >= end || self.is_too_late() {
                return Ok(());
            }
            if let Some(screen) = screen
                && now >= refresh
            {
                screen.show(&picture(&self.outcome()?.as_ref(self)))?;
                refresh = now.saturating_add(REFRESH);
            }
            let next = if screen.is_some() { refresh } else { end };
            let mut events = [Event::default(); 2];
            for event in port.wait(&mut events, next.min(end))? {
                match event.key {
                    FOUND if !self.count()? => return Ok(()),
                    KEYS => match screen.map(|screen| screen.key(0)).transpose()?.flatten() {
                        Some(b'q' | b'Q' | 3 | 4) => return Ok(()),
                        Some(b'r' | b'R') => self.begin()?,
                        _ => {}
                    },
                    _ => {}
                }
            }
        }
    }

    /// Whether somebody was later than the plan allows.
    fn is_too_late(&self) -> bool {
        let limit = self.plan.limit.unwrap_or(u64::MAX);
        self.tallies.iter().any(|tally| tally.most > limit)
    }

    fn outcome(&self) -> Result<Moment, Error> {
        Ok(Moment {
            cpus: match self.kernel {
                Some(_) => system::cpus()?,
                None => Vec::new(),
            },
            passed: time::now()?.saturating_sub(self.started),
        })
    }
}

/// What else an outcome needs.
struct Moment {
    cpus: Vec<system::Cpu>,
    passed: u64,
}

impl Moment {
    fn as_ref<'a>(&'a self, measured: &'a Measured<'_>) -> Outcome<'a> {
        Outcome {
            plan: measured.plan,
            tallies: &measured.tallies,
            cpus: &self.cpus,
            passed: self.passed,
            clock: measured.clock,
        }
    }
}

/// How long a look at the clock takes, in nanoseconds: the shortest of some.
fn look_at_the_clock() -> Result<u64, Error> {
    let mut shortest = u64::MAX;
    for _ in 0..100 {
        let before = time::now()?;
        shortest = shortest.min(time::now()?.saturating_sub(before));
    }
    Ok(shortest)
}
