//! Registers full of nonsense: every call answers, and nothing of the kernel falls over.

use super::*;
use proptest::prelude::*;

/// What programs put into registers: numbers of handles, addresses good and bad, small and huge numbers.
fn register() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0u64..12).prop_map(|place| 0x10_0000 + place),
        0u64..64,
        (0..2 * LENGTH as u64).prop_map(|offset| MEMORY as u64 + offset),
        Just(u64::from(Number::NONE.0)),
        Just(u64::MAX),
        Just(1 << 47),
        Just(0xffff_8000_0000_0000),
        any::<u64>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_call_answers(
        calls in prop::collection::vec((0usize..Call::ALL.len(), prop::array::uniform6(register())), 1..12),
        content in prop::collection::vec(any::<u8>(), 0..256),
    ) {
        let mut world = World::new();
        for name in ["file", "process", "device", "event", "channel"] {
            world.registry(name).unwrap();
        }
        world.put(&content);
        world.put(b"pipe status time memory /etc/text port new");
        for (call, arguments) in calls {
            let call = Call::ALL[call];
            // A wait may be for what never comes; the machine may really be switched off.
            if matches!(call, Call::Wait | Call::Request) {
                continue;
            }
            let _ = world.call(call, &arguments);
        }
        prop_assert!(world.process.status().is_none());
    }

    #[test]
    fn waits_until_now_answer(arguments in prop::array::uniform6(register())) {
        let mut world = World::new();
        for name in ["file", "process", "device", "event", "channel"] {
            world.registry(name).unwrap();
        }
        let [handle, _, address, capacity, interest, _] = arguments;
        let _ = world.call(Call::Wait, &[handle, 0, address, capacity, interest]);
    }

    #[test]
    fn requests_answer(handle in 0u64..9, verb in "[a-z-]{0,8}|pipe|status|kill|time|memory|remove|rename", content in any::<Vec<u8>>()) {
        let mut world = World::new();
        for name in ["file", "process", "device", "event", "channel"] {
            world.registry(name).unwrap();
        }
        let name = world.put(verb.as_bytes());
        let value = world.put(&content);
        let length = verb.len() as u64;
        let _ = world.call(Call::Request, &[0x10_0000 + handle, name, length, value, REPLIES as u64, 4096]);
    }
}
