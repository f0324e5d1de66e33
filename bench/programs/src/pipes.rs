//! Pipes between two processes.

use crate::Benchmark;
use crate::calls::{close, read, write};
use crate::measure::Report;
use crate::processes::{fork, wait};

pub const ALL: &[Benchmark] = &[
    ("pipe round trip", round_trip),
    ("pipe bandwidth", bandwidth),
    ("pipe 1 B in one process", alone),
];

pub fn pipe() -> [i32; 2] {
    let mut ends = [0; 2];
    // SAFETY: the call writes two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    ends
}

fn alone(report: &mut Report) {
    let [reader, writer] = pipe();
    report.time(|| {
        write(writer, &[1]);
        read(reader, &mut [0]);
    });
    close(reader);
    close(writer);
}

/// A byte there and a byte back: two switches between processes.
fn round_trip(report: &mut Report) {
    let (there, back) = (pipe(), pipe());
    let child = fork(|| {
        close(there[1]);
        close(back[0]);
        let mut byte = [0];
        while read(there[0], &mut byte) == 1 {
            write(back[1], &byte);
        }
    });
    close(there[0]);
    close(back[1]);
    report.time(|| {
        write(there[1], &[1]);
        assert_eq!(read(back[0], &mut [0]), 1);
    });
    close(there[1]);
    close(back[0]);
    wait(child);
}

fn bandwidth(report: &mut Report) {
    const TOTAL: usize = 8 << 20;
    let (data, done) = (pipe(), pipe());
    let child = fork(|| {
        close(data[1]);
        close(done[0]);
        let mut buffer = vec![0; 65_536];
        let mut seen = 0;
        loop {
            match read(data[0], &mut buffer) {
                0 => return,
                count => seen += count,
            }
            if seen == TOTAL {
                seen = 0;
                write(done[1], &[1]);
            }
        }
    });
    close(data[0]);
    close(done[1]);
    let buffer = vec![1; 65_536];
    report.bandwidth(TOTAL, || {
        for _ in 0..TOTAL / buffer.len() {
            assert_eq!(write(data[1], &buffer), buffer.len());
        }
        read(done[0], &mut [0]);
    });
    close(data[1]);
    close(done[0]);
    wait(child);
}
