//! Cards are found wherever people put them, and nothing else is.

use super::*;
use proptest::prelude::*;

const KEY: &[u8] = b"a key of the tests";

fn policy() -> Policy {
    Policy::new(Cards::Always, KEY)
}

/// How the text reads afterwards, each token as `‹tok›`.
fn protected(text: &str, is_json: bool) -> String {
    let (raw, protections) =
        policy().apply(SourceType::Payment, Bytes::copy_from_slice(text.as_bytes()), is_json);
    let mut out = String::from_utf8(raw.to_vec()).unwrap();
    for protection in protections.iter().rev() {
        let span = protection.start as usize..(protection.start + protection.len) as usize;
        assert!(out[span.clone()].starts_with(TOKEN_PREFIX) && span.len() == 36, "{out}");
        out.replace_range(span, "‹tok›");
    }
    out
}

#[test]
fn cards_in_text_are_replaced_whatever_stands_around_them() {
    for (text, expected) in [
        ("4111111111111111", "‹tok›"),
        ("card 4111 1111 1111 1111 exp 12/27", "card ‹tok› exp 12/27"),
        ("pan=4111-1111-1111-1111;", "pan=‹tok›;"),
        ("3782 822463 10005, paid", "‹tok›, paid"),
        ("ok: 5555555555554444.", "ok: ‹tok›."),
        ("(4222222222222)", "(‹tok›)"),
        ("42 4111 1111 1111 1111 1225", "42 ‹tok› 1225"),
        ("4111111111111111 1225 5555555555554444", "‹tok› 1225 ‹tok›"),
        ("GET /pay?n=4111111111111111&x=1", "GET /pay?n=‹tok›&x=1"),
        ("GET /pay?n=%204111111111111111", "GET /pay?n=%20‹tok›"),
        ("卡号4111111111111111已付款", "卡号‹tok›已付款"),
        (";4111111111111111=25121010000012345678?", ";‹tok›=25121010000012345678?"),
        (";4111111111111111D25121010000012345678", ";‹tok›D25121010000012345678"),
        ("%B4111111111111111^DOE/J^2512", "%B‹tok›^DOE/J^2512"),
        ("02007238000000000000164111111111111111000000", "0200723800000000000016‹tok›000000"),
        ("MTI=0200 DE2=4111111111111111 DE4=000000010000", "MTI=0200 DE2=‹tok› DE4=000000010000"),
    ] {
        assert_eq!(protected(text, false), expected, "{text}");
    }
}

#[test]
fn json_stays_json() {
    for (text, expected) in [
        (r#"{"pan":4111111111111111,"a":1}"#, r#"{"pan":"‹tok›","a":1}"#),
        (r#"{"pan":"4111111111111111"}"#, r#"{"pan":"‹tok›"}"#),
        (r#"{"t":"x:4111111111111111,y"}"#, r#"{"t":"x:‹tok›,y"}"#),
        (r#"{"t":"line\n4111 1111 1111 1111"}"#, r#"{"t":"line\n‹tok›"}"#),
        (r#"{"t":"a\u00204111111111111111"}"#, r#"{"t":"a\u0020‹tok›"}"#),
        (r#"{"t":"a\u00a04111111111111111"}"#, r#"{"t":"a\u00a0‹tok›"}"#),
        (r#"{"t":"\"4111111111111111\""}"#, r#"{"t":"\"‹tok›\""}"#),
        ("[4111111111111111, 5555555555554444 ]", r#"["‹tok›", "‹tok›" ]"#),
        (r#"{"card_id":4111111111111111}"#, r#"{"card_id":"‹tok›"}"#),
        (r#"{"4111111111111111":1}"#, r#"{"‹tok›":1}"#),
    ] {
        assert_eq!(protected(text, true), expected, "{text}");
        let (raw, _) =
            policy().apply(SourceType::Payment, Bytes::copy_from_slice(text.as_bytes()), true);
        assert!(serde_json::from_slice::<serde_json::Value>(&raw).is_ok(), "{text}");
    }
}

#[test]
fn digits_that_belong_to_something_else_are_left_alone() {
    for text in [
        "4111111111111112",
        "0x4111111111111111",
        "4111111111111111ab",
        "a4111111111111111",
        "_4111111111111111",
        "0.4111111111111111",
        "4111111111111111.5",
        "{41111111-1111-1111-1111-111111111111}",
        "e4111111-1111-1111-4111-1111111111aa",
        "id-4111111111111111",
        "4111111111111111-99",
        "41111111111111111111111",
        "4111  1111  1111  1111",
        "4111-1111 1111-1111",
        "41 11 11 11 11 11 11 11",
        "flow_id=4111111111111111",
        "2020-10-18 10:56:18 2020-10-18",
    ] {
        assert_eq!(protected(text, false), text);
    }
    for text in [
        r#"{"flow_id":4111111111111111}"#,
        r#"{"requestId":"4111111111111111"}"#,
        r#"{"ids":[1,4111111111111111,"4111111111111111"]}"#,
        r#"{"Keywords":4111111111111111}"#,
        r#"{"x":-4111111111111111e0}"#,
        r#"{"t":"\\n4111111111111111"}"#,
    ] {
        assert_eq!(protected(text, true), text);
    }
}

#[test]
fn one_card_has_one_token_and_another_key_another() {
    let token = |key: &[u8], text: &str| {
        let text = Bytes::copy_from_slice(text.as_bytes());
        Policy::new(Cards::Always, key).apply(SourceType::Payment, text, false).0
    };
    assert_eq!(token(KEY, "4111111111111111"), token(KEY, "4111 1111 1111 1111"));
    assert_ne!(token(KEY, "4111111111111111"), token(b"other", "4111111111111111"));
    assert_ne!(token(KEY, "4111111111111111"), token(KEY, "5555555555554444"));
    let keyless = Policy { cards: Cards::Always, key: None, personal: None };
    assert_eq!(keyless.token(b"4111111111111111"), keyless.token(b"5555555555554444"));
    assert!(!format!("{:?}", policy()).contains("Hmac"), "{:?}", policy());
}

#[test]
fn the_source_decides_unless_the_policy_does() {
    let by_source = Policy::new(Cards::BySource, KEY);
    assert!(
        by_source.looks_for_cards(SourceType::Payment)
            && by_source.looks_for_cards(SourceType::Json)
    );
    assert!(
        !by_source.looks_for_cards(SourceType::Door)
            && !by_source.looks_for_cards(SourceType::WindowsEvtx)
    );
    assert!(
        policy().looks_for_cards(SourceType::Door)
            && !Policy::off().looks_for_cards(SourceType::Payment)
    );
}

/// `SplitMix64`: the same numbers in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }

    fn card(&mut self) -> String {
        let (prefix, len) = self.of(&[
            ("4", 16),
            ("4", 13),
            ("4", 19),
            ("51", 16),
            ("55", 16),
            ("2221", 16),
            ("2720", 16),
            ("34", 15),
            ("37", 15),
            ("6011", 16),
            ("65", 16),
            ("305", 14),
            ("36", 14),
            ("3528", 16),
            ("62", 16),
            ("62", 19),
            ("6759", 17),
            ("5018", 13),
            ("2200", 16),
        ]);
        let mut digits = prefix.to_owned();
        while digits.len() < len - 1 {
            digits.push(char::from(b'0' + u8::try_from(self.below(10)).unwrap()));
        }
        let check = ('0'..='9').find(|check| brand::is_card(format!("{digits}{check}").as_bytes()));
        digits.push(check.unwrap());
        digits
    }

    fn written(&mut self, card: &str) -> String {
        let separator = self.of(&["", "", " ", "-"]);
        let groups: &[usize] = match card.len() {
            15 => &[4, 6, 5],
            14 => &[4, 6, 4],
            _ => &[4, 4, 4, 4, 4],
        };
        let mut rest = card;
        let mut parts = Vec::new();
        for len in groups {
            let (part, more) = rest.split_at(rest.len().min(*len));
            parts.push(part);
            rest = more;
        }
        parts.retain(|part| !part.is_empty());
        parts.join(separator)
    }
}

#[test]
fn each_of_ten_thousand_planted_cards_is_found() {
    let mut random = Random(20_261_124);
    for n in 0..10_000 {
        let card = random.card();
        let written = random.written(&card);
        let mti = random.of(&["0100", "0200", "0420"]);
        let (text, is_json) = match n % 8 {
            0 => (format!("customer {n} paid with {written} at 12:30, thanks"), false),
            1 => (written.clone(), false),
            2 => (format!("order 17 {written}\r"), false),
            3 => (format!(r#"{{"n":{n},"note":"card {written}."}}"#), true),
            4 => (format!(r#"{{"card":{{"number":"{written}"}},"amount":12.5}}"#), true),
            5 => (format!(r#"{{"pan": {card} ,"n":{n}}}"#), true),
            6 => (format!("MTI={mti}|DE2={card}|DE3=000000|DE4=000000001999|DE37={n:012}"), false),
            _ => (format!("{mti}F23C44810AE08000{}{card}000000{n:012}", card.len()), false),
        };
        // The second bitmap that bit 1 announces.
        let text = text.replace("0AE08000", "0AE080000000000000000001");
        let (raw, protections) =
            policy().apply(SourceType::Payment, Bytes::copy_from_slice(text.as_bytes()), is_json);
        let shown = String::from_utf8_lossy(&raw);
        assert_eq!(protections.len(), 1, "{text} → {shown}");
        assert!(!shown.contains(&written) && !shown.contains(&card[..12]), "{text} → {shown}");
        assert!(!is_json || serde_json::from_slice::<serde_json::Value>(&raw).is_ok(), "{shown}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_search_panic_and_only_what_is_recorded_changes(
        bytes in proptest::collection::vec(prop_oneof![
            any::<u8>(), Just(b'4'), Just(b'1'), Just(b' '), Just(b'-'), Just(b'"'), Just(b'\\'),
            Just(b'u'), Just(b'%'), Just(b'D'),
        ], 0..400),
        is_json: bool,
    ) {
        let raw = Bytes::from(bytes);
        let (out, protections) = policy().apply(SourceType::Payment, raw.clone(), is_json);
        prop_assert_eq!(out == raw, protections.is_empty());
        for Protection { start, len, .. } in protections {
            prop_assert!(out[start as usize..(start + len) as usize].starts_with(b"tok_"));
        }
    }
}
