//! Environment, panics, memory, randomness, and the network that may not be there.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::panic;

test_programs::tests!(
    variables,
    arguments,
    own_program_can_be_found,
    temporary_directory,
    panics_are_caught,
    drops_run_while_unwinding,
    hash_seeds_differ_between_maps,
    hash_seeds_differ_between_processes,
    a_hundred_megabytes,
    many_small_allocations,
    growing_a_vector,
    an_impossible_allocation_is_refused,
    aligned_allocations,
    memory_comes_back,
    stdout_can_be_written_empty,
    network_absent_or_not,
    unix_sockets_absent_or_not,
    floats_print_and_parse,
);

fn variables() {
    // SAFETY: the test's process has one thread.
    unsafe {
        std::env::set_var("NEW_NAME", "value with = and spaces");
        assert_eq!(
            std::env::var("NEW_NAME").unwrap(),
            "value with = and spaces"
        );
        std::env::remove_var("NEW_NAME");
    }
    assert!(std::env::var("NEW_NAME").is_err());
    assert!(std::env::vars_os().all(|(name, _)| name != "NEW_NAME"));
}

fn arguments() {
    assert!(std::env::args_os().count() >= 1);
}

fn own_program_can_be_found() {
    let path = std::env::current_exe().unwrap();
    assert!(path.is_absolute());
    assert_eq!(&std::fs::read(path).unwrap()[..4], b"\x7fELF");
}

fn temporary_directory() {
    let path = std::env::temp_dir();
    assert!(std::fs::metadata(path).unwrap().is_dir());
}

fn panics_are_caught() {
    let error = panic::catch_unwind(|| panic!("number {}", std::hint::black_box(7))).unwrap_err();
    assert_eq!(error.downcast_ref::<String>().unwrap(), "number 7");
    let error = panic::catch_unwind(|| {
        let empty: [u8; 0] = std::hint::black_box([]);
        empty[std::hint::black_box(3)]
    });
    assert!(error.is_err());
    assert_eq!(panic::catch_unwind(|| 5).unwrap(), 5);
    for _ in 0..1000 {
        assert!(panic::catch_unwind(|| panic::resume_unwind(Box::new(1))).is_err());
    }
}

fn drops_run_while_unwinding() {
    struct Count<'a>(&'a std::cell::Cell<u32>);
    impl Drop for Count<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let count = std::cell::Cell::new(0);
    let result = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        let _a = Count(&count);
        let _b = [Count(&count), Count(&count)];
        panic!("out");
    }));
    assert!(result.is_err());
    assert_eq!(count.get(), 3);
}

fn hash_seeds_differ_between_maps() {
    let (a, b) = (RandomState::new(), RandomState::new());
    assert_ne!(a.hash_one("same"), b.hash_one("same"));
    let map: HashMap<u32, u32> = (0..10_000).map(|i| (i, i * 2)).collect();
    assert!((0..10_000).all(|i| map[&i] == i * 2));
}

/// Two processes that never hashed before draw different keys from the kernel.
fn hash_seeds_differ_between_processes() {
    let draw = || {
        let (read, write) = test_programs::raw::short::pipe();
        test_programs::child::passes(|| {
            let hash = std::thread::spawn(|| RandomState::new().hash_one(1u32))
                .join()
                .unwrap();
            test_programs::raw::short::write(write, &hash.to_le_bytes());
        });
        test_programs::raw::short::read(read, 8)
    };
    let (a, b) = (draw(), draw());
    assert_eq!(a.len(), 8);
    assert_ne!(a, b);
}

fn a_hundred_megabytes() {
    let len = 100usize << 20;
    let mut bytes = vec![0u8; len];
    assert!(bytes.iter().step_by(4096).all(|b| *b == 0));
    // One byte in sixteen pages: the size is what matters, not the memory of the machine.
    for i in (0..len).step_by(65536) {
        bytes[i] = (i >> 16) as u8;
    }
    assert!((0..len).step_by(65536).all(|i| bytes[i] == (i >> 16) as u8));
}

fn many_small_allocations() {
    let mut map = BTreeMap::new();
    for round in 0..20_000u64 {
        map.insert(
            round.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40,
            Box::new([round; 4]),
        );
        if round % 3 == 0 {
            map.pop_first();
        }
    }
    assert!(map.values().all(|v| v[0] == v[3]));
}

fn growing_a_vector() {
    let mut numbers = Vec::new();
    for i in 0..2_000_000u32 {
        numbers.push(i);
    }
    assert!(numbers.iter().enumerate().all(|(i, n)| i as u32 == *n));
    numbers.truncate(10);
    numbers.shrink_to_fit();
    assert_eq!(numbers.iter().sum::<u32>(), 45);
}

fn an_impossible_allocation_is_refused() {
    let mut bytes: Vec<u8> = Vec::new();
    assert!(bytes.try_reserve_exact(1 << 60).is_err());
    assert!(bytes.try_reserve_exact(1 << 47).is_err());
    bytes.push(1);
    assert_eq!(bytes, [1]);
}

fn aligned_allocations() {
    #[repr(align(65536))]
    #[derive(Clone, Copy)]
    struct Wide(u8);
    let boxes: Vec<Box<Wide>> = (0..16).map(|i| Box::new(Wide(i))).collect();
    for (i, wide) in boxes.iter().enumerate() {
        assert_eq!(std::ptr::from_ref(wide.as_ref()).addr() % 65536, 0);
        assert_eq!(wide.0, i as u8);
    }
}

/// More in total than any test machine has, a bit at a time.
fn memory_comes_back() {
    for round in 0..300u32 {
        let bytes = std::hint::black_box(vec![round as u8; 1 << 20]);
        assert_eq!(bytes[bytes.len() - 1], round as u8);
    }
}

fn stdout_can_be_written_empty() {
    std::io::stdout().write_all(b"").unwrap();
    std::io::stdout().flush().unwrap();
    std::io::stderr().flush().unwrap();
}

/// Where there is no network the calls fail with an error; they do not hang or crash.
fn network_absent_or_not() {
    assert!(TcpStream::connect("127.0.0.1:1").is_err());
    if let Ok(listener) = TcpListener::bind("127.0.0.1:0") {
        assert!(listener.local_addr().unwrap().port() > 0);
    }
    assert!(
        "localhost:notaport"
            .parse::<std::net::SocketAddr>()
            .is_err()
    );
}

fn unix_sockets_absent_or_not() {
    use std::io::Read;
    if let Ok((mut a, mut b)) = std::os::unix::net::UnixStream::pair() {
        a.write_all(b"across").unwrap();
        drop(a);
        let mut text = String::new();
        b.read_to_string(&mut text).unwrap();
        assert_eq!(text, "across");
    }
}

fn floats_print_and_parse() {
    for text in ["0.1", "1e300", "-2.5", "123456789.123456", "5e-324"] {
        let value: f64 = text.parse().unwrap();
        assert_eq!(format!("{value}").parse::<f64>().unwrap(), value);
    }
    assert_eq!(format!("{:.3}", 2.0f64.sqrt()), "1.414");
    assert_eq!(
        format!("{:.3}", std::f64::consts::PI.sin().abs() + 0.0005),
        "0.001"
    );
}
