//! Who sent a webhook: told by a signature over its body under a shared secret, or by a token.

use super::{access, callback};
use axum::http::{HeaderMap, HeaderName, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use custos_event::{Private, Timestamp};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// How a sender shows that it is the one.
#[derive(Clone)]
pub enum Proof {
    /// HMAC-SHA-256 of the body.
    Signed { secret: Private<Vec<u8>>, header: HeaderName, form: Form },
    /// Stripe's: `t=SECONDS,v1=HEX`, HMAC-SHA-256 of `SECONDS.BODY`, at most so many seconds old or ahead. While
    /// a secret is rolled, there are several `v1`.
    Timed { secret: Private<Vec<u8>>, header: HeaderName, tolerance_secs: i64 },
    /// A token in the header `Authorization`, in any form that shippers may send theirs in; known by its digest
    /// alone.
    Bearer { sha256: [u8; 32] },
    /// 纷享销客's: SHA-1 of the token with what the body holds, whose content is encrypted under the key.
    Fxiaoke { token: Private<String>, key: Private<[u8; 32]> },
    /// Zoho's: the token that the channel was opened with stands in the body; known by its digest alone.
    Zoho { sha256: [u8; 32] },
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Hex,
    /// GitHub's: `sha256=` and hexadecimal.
    PrefixedHex,
    Base64,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed { header, form, .. } => write!(f, "Signed({header}, {form:?})"),
            Self::Timed { header, tolerance_secs, .. } => {
                write!(f, "Timed({header}, {tolerance_secs} s)")
            }
            Self::Bearer { .. } => f.write_str("Bearer"),
            Self::Fxiaoke { .. } => f.write_str("Fxiaoke"),
            Self::Zoho { .. } => f.write_str("Zoho"),
        }
    }
}

/// Why a body is not taken for the sender's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unproven {
    #[error("the header {0} is missing; the sender has to be given the secret of this webhook")]
    Missing(HeaderName),
    #[error("the header {0} is not in the form that is configured: {1} is expected")]
    Malformed(HeaderName, &'static str),
    #[error(
        "the signature in {0} is not that of this body under the secret that is configured: the secret is \
         another one, or something on the way changed the body"
    )]
    Wrong(HeaderName),
    #[error("the body is not in the form that is configured: {0} is expected")]
    MalformedBody(&'static str),
    #[error(
        "the signature in the body is not that of its content under the token that is configured"
    )]
    WrongBody,
    #[error("the token is not the one that is configured")]
    WrongToken,
    #[error(
        "the signature is of {age_secs} s before now, more than {tolerance_secs} s away: it is sent again, or a \
         clock is wrong"
    )]
    Stale { age_secs: i64, tolerance_secs: i64 },
}

impl Unproven {
    /// One word for programs.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Malformed(..) | Self::MalformedBody(_) => "malformed",
            Self::Wrong(_) | Self::WrongBody | Self::WrongToken => "wrong",
            Self::Stale { .. } => "stale",
        }
    }
}

impl Proof {
    /// The signature is of the body as it was sent: it may not be inflated before.
    pub(super) fn is_of_body(&self) -> bool {
        !matches!(self, Self::Bearer { .. })
    }

    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Unproven> {
        match self {
            Self::Signed { secret, header, form } => {
                let given = form.read(value(headers, header)?);
                let given =
                    given.ok_or_else(|| Unproven::Malformed(header.clone(), form.text()))?;
                let is_right = is_signature(secret, &[body], &given);
                if is_right { Ok(()) } else { Err(Unproven::Wrong(header.clone())) }
            }
            Self::Timed { secret, header, tolerance_secs } => {
                let stamp = Stamp::of(value(headers, header)?);
                let malformed = || Unproven::Malformed(header.clone(), "t=SECONDS,v1=HEX");
                let Stamp { time, signatures } = stamp.ok_or_else(malformed)?;
                let signed = [time.as_bytes(), b".", body];
                if !signatures.iter().any(|given| is_signature(secret, &signed, given)) {
                    return Err(Unproven::Wrong(header.clone()));
                }
                let time: i64 = time.parse().map_err(|_| malformed())?;
                let age_secs = (now.0 / NANOS).saturating_sub(time);
                if age_secs.checked_abs().is_none_or(|away| away > *tolerance_secs) {
                    return Err(Unproven::Stale { age_secs, tolerance_secs: *tolerance_secs });
                }
                Ok(())
            }
            Self::Bearer { sha256 } => {
                let given = value(headers, &header::AUTHORIZATION)?;
                let tokens = access::secrets(given);
                if tokens.is_empty() {
                    return Err(Unproven::Malformed(header::AUTHORIZATION, TOKEN_FORM));
                }
                // Digests are compared: the time taken tells nothing of the token.
                let is_known = |token: &String| Sha256::digest(token.as_bytes())[..] == sha256[..];
                if tokens.iter().any(is_known) { Ok(()) } else { Err(Unproven::WrongToken) }
            }
            Self::Fxiaoke { token, .. } => callback::check_fxiaoke(token, body),
            Self::Zoho { sha256 } => callback::check_zoho(sha256, body),
        }
    }
}

const TOKEN_FORM: &str = "Bearer TOKEN, or Basic with the token as the password,";
const NANOS: i64 = custos_event::time::NANOS_PER_SEC;

fn value<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h str, Unproven> {
    let value = headers.get(name).ok_or_else(|| Unproven::Missing(name.clone()))?;
    value.to_str().map(str::trim).map_err(|_| Unproven::Malformed(name.clone(), "plain text"))
}

/// Compared in constant time.
fn is_signature(secret: &Private<Vec<u8>>, signed: &[&[u8]], given: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal()) else { return false };
    for part in signed {
        mac.update(part);
    }
    mac.verify_slice(given).is_ok()
}

impl Form {
    fn text(self) -> &'static str {
        match self {
            Self::Hex => "64 hexadecimal digits",
            Self::PrefixedHex => "sha256= and 64 hexadecimal digits",
            Self::Base64 => "base64 of 32 bytes",
        }
    }

    fn read(self, text: &str) -> Option<Vec<u8>> {
        let bytes = match self {
            Self::Hex => unhex(text),
            Self::PrefixedHex => unhex(text.strip_prefix("sha256=")?),
            Self::Base64 => STANDARD.decode(text).ok(),
        }?;
        (bytes.len() == 32).then_some(bytes)
    }
}

/// What stands in a header of Stripe's form.
struct Stamp<'h> {
    time: &'h str,
    signatures: Vec<Vec<u8>>,
}

impl<'h> Stamp<'h> {
    /// Stripe sends two signatures at most; each costs an HMAC of the body.
    const SIGNATURES_MAX: usize = 4;

    fn of(text: &'h str) -> Option<Self> {
        let pairs = || text.split(',').filter_map(|pair| pair.trim().split_once('='));
        let time = pairs().find(|(key, _)| *key == "t")?.1;
        let is_time = (1..=12).contains(&time.len()) && time.bytes().all(|at| at.is_ascii_digit());
        let of = |(key, value): (&str, &str)| if key == "v1" { unhex(value) } else { None };
        let signatures: Vec<_> = pairs().filter_map(of).take(Self::SIGNATURES_MAX).collect();
        (is_time && !signatures.is_empty()).then_some(Self { time, signatures })
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit =
        |letter: &u8| char::from(*letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");

    fn secret(text: &str) -> Private<Vec<u8>> {
        Private::new(text.as_bytes().to_vec())
    }

    fn check(proof: &Proof, header: &HeaderName, value: &str, body: &str) -> Result<(), String> {
        let headers = HeaderMap::from_iter([(header.clone(), value.parse().unwrap())]);
        let now = Timestamp::from_secs(1_800_000_100);
        proof.check(&headers, body.as_bytes(), now).map_err(|error| error.to_string())
    }

    #[test]
    fn the_signature_of_githubs_own_documentation_holds_for_its_body_alone() {
        let proof = Proof::Signed {
            secret: secret("It's a Secret to Everybody"),
            header: SIGNATURE,
            form: Form::PrefixedHex,
        };
        let right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let check = |value: &str, body: &str| check(&proof, &SIGNATURE, value, body);
        assert_eq!(check(right, "Hello, World!"), Ok(()));
        assert_eq!(check(&right.to_uppercase().replace("SHA", "sha"), "Hello, World!"), Ok(()));
        for (value, body, part) in [
            (right, "Hello, World", "not that of this body"),
            (&right.replace("75", "76"), "Hello, World!", "not that of this body"),
            (&right[..40], "Hello, World!", "sha256= and 64 hexadecimal digits is expected"),
            (&right[7..], "Hello, World!", "sha256= and 64"),
            ("sha256=", "Hello, World!", "sha256= and 64"),
        ] {
            let error = check(value, body).unwrap_err();
            assert!(error.contains(part) && error.contains("x-signature"), "{error}");
        }
        let error = proof.check(&HeaderMap::new(), b"", Timestamp(0)).unwrap_err();
        assert_eq!(error, Unproven::Missing(SIGNATURE));
        assert!(!format!("{proof:?}").contains("Secret"));
    }

    #[test]
    fn a_timed_signature_holds_for_as_long_as_it_is_fresh() {
        let body = r#"{"id":"evt_1","type":"charge.dispute.created"}"#;
        let proof = |tolerance_secs| Proof::Timed {
            secret: secret("whsec_test"),
            header: SIGNATURE,
            tolerance_secs,
        };
        let right = "a49f30d72d8416c39b9fdd4519c2f2da8f6a82b7584ec6a1191faf80626e2ce3";
        let check = |tolerance, value: &str| check(&proof(tolerance), &SIGNATURE, value, body);
        let stamp = format!("t=1800000000,v1={right}");
        assert_eq!(check(100, &stamp), Ok(()));
        // While the secret is rolled there are two, and v0 is for tests of Stripe's own.
        let rolled = format!("t=1800000000,v1={},v1={right},v0=00", "00".repeat(32));
        assert_eq!(check(300, &rolled), Ok(()));
        for (tolerance, value, part) in [
            (99, stamp.clone(), "100 s before now, more than 99 s"),
            (300, stamp.replace("1800000000", "1800000001"), "not that of this body"),
            (300, format!("t=1800000000,v0={right}"), "t=SECONDS,v1=HEX is expected"),
            (300, format!("t=now,v1={right}"), "t=SECONDS,v1=HEX"),
            (300, format!("v1={right}"), "t=SECONDS,v1=HEX"),
        ] {
            let error = check(tolerance, &value).unwrap_err();
            assert!(error.contains(part), "{part} in: {error}");
        }
    }

    #[test]
    fn base64_and_tokens_are_other_ways_to_show_it() {
        let base64 =
            Proof::Signed { secret: secret("s3cret"), header: SIGNATURE, form: Form::Base64 };
        assert_eq!(
            check(&base64, &SIGNATURE, "rb3hzkDInBQhVofV12Kkffbfrvz61h4uhnGP/ISYVxs=", "{}"),
            Ok(())
        );
        assert!(
            check(&base64, &SIGNATURE, "rb3hzkDInBQhVofV12Kkffbfrvz61h4uhnGP/ISYVxs=", "{ }")
                .is_err()
        );
        let bearer = Proof::Bearer { sha256: Sha256::digest("s3cret").into() };
        let check = |value: &str| check(&bearer, &header::AUTHORIZATION, value, "");
        assert_eq!(check("bearer s3cret"), Ok(()));
        assert_eq!(check("Bearer s3cre").unwrap_err(), Unproven::WrongToken.to_string());
        // As services send what stands in an address: https://custos:s3cret@…
        assert_eq!(check(&format!("Basic {}", STANDARD.encode("custos:s3cret"))), Ok(()));
        assert!(check(&format!("Basic {}", STANDARD.encode("s3cret:custos"))).is_err());
        assert!(check("Basic s3cret").unwrap_err().contains("Bearer TOKEN, or Basic with"));
        assert!(bearer.check(&HeaderMap::new(), b"", Timestamp(0)).is_err());
    }

    proptest! {
        #[test]
        fn no_header_makes_the_check_panic_or_pass(
            text in "(t=|sha256=|v1=|Bearer )?[ -~]{0,90}", time in "[0-9]{0,20}", now: i64,
        ) {
            let signed = |form| Proof::Signed { secret: secret("a"), header: SIGNATURE, form };
            let timed =
                Proof::Timed { secret: secret("a"), header: SIGNATURE, tolerance_secs: 300 };
            let bearer = Proof::Bearer { sha256: [7; 32] };
            for proof in [signed(Form::Hex), signed(Form::Base64), timed, bearer] {
                for value in [text.clone(), format!("t={time},v1={}", "ab".repeat(32))] {
                    let value: axum::http::HeaderValue = value.parse().unwrap();
                    let headers = HeaderMap::from_iter([
                        (SIGNATURE, value.clone()), (header::AUTHORIZATION, value),
                    ]);
                    prop_assert!(proof.check(&headers, b"body", Timestamp(now)).is_err());
                }
            }
        }
    }
}
