//! Made events for benches and examples: about 740 bytes, as those of the recorded mix are on average.

use bytes::Bytes;
use custos_event::Entry;

/// JSON with the variety of real logs: names repeat, addresses and numbers hardly do.
pub(crate) fn made(count: u64) -> Vec<Entry> {
    let mut state = 1_u64;
    let mut roll = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 24
    };
    let event = |n: u64| {
        let text = format!(
            r#"{{"@timestamp":"2026-11-24T08:{:02}:{:02}.{:06}Z","event":{{"dataset":"auth","id":"{:016x}","action":"logged-in","outcome":"success"}},"user":{{"name":"user{}","id":"S-1-5-21-{}-{}"}},"source":{{"ip":"10.{}.{}.{}","port":{}}},"host":{{"name":"srv-{}.example.org"}},"process":{{"name":"sshd","pid":{},"command_line":"/usr/sbin/sshd -D -R -o AuthorizedKeysCommand=/usr/bin/keys %u"}},"message":"Accepted publickey for user from address on port, session {:016x} opened by uid 0","note":"{}"}}"#,
            n / 60 % 60,
            n % 60,
            roll() % 1_000_000,
            roll(),
            roll() % 500,
            roll() % 9_999_999,
            roll() % 99_999,
            roll() % 4,
            roll() % 256,
            roll() % 256,
            roll() % 65_536,
            roll() % 40,
            roll() % 32_768,
            roll(),
            "the quick brown fox jumps over the lazy dog and ".repeat(5),
        );
        Entry { bytes: Bytes::from(text), parsed: None }
    };
    (0..count).map(event).collect()
}
