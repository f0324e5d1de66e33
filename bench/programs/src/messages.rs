//! Messages between programs beside what Linux has for the same purpose. One idea: the same task for both, each with its own
//! best means: a question and its answer, and much data that changes hands.

use crate::measure::{Bench, Plan};
use abi::{Call, MOST_HANDLES, NEVER, Passed, Received, Rights};
use libc::{FUTEX_WAIT, FUTEX_WAKE};
use std::sync::atomic::{AtomicU32, Ordering};
use test_programs::memory::Shared;
use test_programs::native::{channel, close, is_linux, memory, number, pass};
use test_programs::raw::short;
use test_programs::{child, raw, sys};

pub const BENCHES: &[Bench] = &[
    Bench {
        name: "futex round trip of processes",
        run: futexes,
    },
    Bench {
        name: "message call, beside pipes",
        run: |plan, name| match is_linux() {
            true => crate::pipes::round_trip(plan, name),
            false => calls(plan, name),
        },
    },
    Bench {
        name: "message call, beside futexes of processes",
        run: |plan, name| match is_linux() {
            true => futexes(plan, name),
            false => calls(plan, name),
        },
    },
    Bench {
        name: "16 MiB to another process and back",
        run: |plan, name| match is_linux() {
            true => through_pipes(plan, name),
            false => arenas(plan, name),
        },
    },
];

/// A native call; the number of arguments is that of the call.
fn native(call: Call, arguments: &[usize]) -> Option<u64> {
    raw::call(abi::encode(call) as i64, arguments)
        .ok()
        .map(|value| value as u64)
}

fn reply_of(record: &[u8; Passed::SIZE]) -> usize {
    u32::from_le_bytes([record[0], record[1], record[2], record[3]]) as usize
}

/// A question of 16 bytes and an answer of 16 bytes, between two processes.
fn calls(plan: &Plan, name: &str) {
    let Ok((sender, receiver)) = channel() else {
        return;
    };
    let peer = child::fork(|| {
        let _ = close(sender);
        let mut value = [0u8; 64];
        let mut records = [[0u8; Passed::SIZE]; MOST_HANDLES + 1];
        let arguments = [
            receiver as usize,
            value.as_mut_ptr() as usize,
            value.len(),
            records.as_mut_ptr() as usize,
            records.len(),
            NEVER as usize,
        ];
        while native(Call::Receive, &arguments).is_some() {
            let reply = reply_of(&records[0]);
            let answer = [reply, value.as_ptr() as usize, 0, 0, 0, 0];
            if native(Call::Send, &answer).is_none() {
                return 1;
            }
        }
        0
    });
    let _ = close(receiver);
    let question = number(7);
    let mut answer = [0u8; 64];
    let arguments = [
        sender as usize,
        question.as_ptr() as usize,
        answer.as_mut_ptr() as usize,
        answer.len(),
        0,
        NEVER as usize,
    ];
    let mut failed = false;
    plan.each(name, |n| {
        for _ in 0..n {
            failed |= native(Call::Call, &arguments).is_none();
        }
    });
    assert!(!failed && answer[..16] == question, "the answer is wrong");
    let _ = close(sender);
    peer.wait();
}

fn wait(word: &AtomicU32, other: u32) {
    while word.load(Ordering::Acquire) == other {
        let _ = sys!(SYS_futex, word, FUTEX_WAIT, other, 0);
    }
}

fn set(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::Release);
    let _ = sys!(SYS_futex, word, FUTEX_WAKE, 1);
}

/// Two processes that wait for each other in the kernel; there and back.
fn futexes(plan: &Plan, name: &str) {
    const QUIT: u32 = 2;
    let word = Shared::<AtomicU32>::new();
    let peer = child::fork(|| {
        loop {
            wait(&word, 0);
            match word.load(Ordering::Acquire) {
                QUIT => return 0,
                _ => set(&word, 0),
            }
        }
    });
    plan.each(name, |n| {
        for _ in 0..n {
            set(&word, 1);
            wait(&word, 1);
        }
    });
    set(&word, QUIT);
    peer.wait();
}

const LARGE: usize = 16 << 20;

/// All of it through one pipe, and as much back through another.
fn through_pipes(plan: &Plan, name: &str) {
    let (there, back) = (short::pipe(), short::pipe());
    let peer = child::fork(|| {
        short::close(there.1);
        short::close(back.0);
        let mut block = vec![0u8; LARGE];
        while read_all(there.0, &mut block) {
            write_all(back.1, &block);
        }
        0
    });
    short::close(there.0);
    short::close(back.1);
    let mut block = vec![1u8; LARGE];
    plan.few().each(name, |n| {
        for _ in 0..n {
            write_all(there.1, &block);
            read_all(back.0, &mut block);
        }
    });
    short::close(there.1);
    peer.wait();
    short::close(back.0);
}

fn write_all(pipe: usize, mut block: &[u8]) {
    while let Ok(count) = sys!(SYS_write, pipe, block.as_ptr(), block.len())
        && count > 0
    {
        block = &block[count..];
    }
}

fn read_all(pipe: usize, mut block: &mut [u8]) -> bool {
    while !block.is_empty() {
        match sys!(SYS_read, pipe, block.as_mut_ptr(), block.len()) {
            Ok(count) if count > 0 => block = &mut block[count..],
            _ => return false,
        }
    }
    true
}

/// Sends an arena.
fn give(arena: usize, to: u64) -> Option<u64> {
    let rights = Rights::READ | Rights::WRITE | Rights::MAP | Rights::TRANSFER;
    let record = pass(arena as u64, rights, Passed::SURRENDER);
    let at = record.as_ptr() as usize;
    native(Call::Send, &[to as usize, 0, at, 1, NEVER as usize])
}

/// An arena that is surrendered, and comes back. It has no mappings: Linux programs hold no handle of their space.
fn arenas(plan: &Plan, name: &str) {
    let (Ok((there, inbox)), Ok((back, outbox))) = (channel(), channel()) else {
        return;
    };
    let pass_on = |from: u64, to: u64| {
        let mut value = [0u8; 64];
        let mut record = [0u8; Passed::SIZE];
        let at = record.as_mut_ptr() as usize;
        let room = [
            from as usize,
            value.as_mut_ptr() as usize,
            value.len(),
            at,
            1,
            NEVER as usize,
        ];
        let raw = native(Call::Receive, &room)?;
        let arena = reply_of(&record);
        (Received::from_raw(raw).handles == 1).then_some(())?;
        give(arena, to)?;
        Some(())
    };
    let peer = child::fork(|| {
        let _ = close(there);
        while pass_on(inbox, back).is_some() {}
        0
    });
    let Ok(arena) = memory(LARGE as u64) else {
        return;
    };
    give(arena as usize, there);
    plan.each(name, |n| {
        for _ in 0..n {
            assert!(pass_on(outbox, there).is_some(), "it does not come back");
        }
    });
    let _ = close(there);
    peer.wait();
}
