//! What customer systems send by themselves: the proof and the content stand in the body, in each system's own form.
//!
//! Each becomes one event as docs/sources/crm.md has them, with what was sent below `row`: its form differs by version.

use super::{delivery::Fault, signature::Unproven};
use crate::decoding::Piece;
use aes::Aes256;
use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use cbc::{
    Decryptor,
    cipher::{BlockModeDecrypt as _, KeyIvInit as _, block_padding::NoPadding},
};
use custos_event::Private;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// As 纷享销客's own libraries read it: what its console makes ends in bits that mean nothing.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// In front of the message: random bytes, and its length.
const RANDOM_BYTES: usize = 16;
const LENGTH_BYTES: usize = 4;

const FXIAOKE_FORM: &str = "{nonce, timeStamp, content, sig}";
const ZOHO_FORM: &str = "{server_time, module, operation, token, …}";

/// The key that the console shows: 43 or 44 letters of base64, 32 bytes.
pub fn fxiaoke_key(text: &str) -> Option<[u8; 32]> {
    LENIENT.decode(text.trim().trim_end_matches('=')).ok()?.try_into().ok()
}

#[derive(Deserialize)]
struct Sealed {
    nonce: Value,
    #[serde(rename = "timeStamp")]
    time: Value,
    content: String,
    sig: String,
}

fn sealed(body: &[u8]) -> Option<Sealed> {
    serde_json::from_slice(body).ok()
}

/// As it is written, be it a number or a text.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn check_fxiaoke(token: &Private<String>, body: &[u8]) -> Result<(), Unproven> {
    let sealed = sealed(body).ok_or(Unproven::MalformedBody(FXIAOKE_FORM))?;
    let (time, nonce) = (text(&sealed.time), text(&sealed.nonce));
    let mut parts = [token.reveal().as_str(), &time, &nonce, &sealed.content];
    parts.sort_unstable();
    let digest = Sha1::digest(parts.concat().as_bytes());
    let expected = crate::crm::hex(&digest);
    let given = sealed.sig.to_ascii_lowercase();
    if bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
        Ok(())
    } else {
        Err(Unproven::WrongBody)
    }
}

/// The event of a body that was proven.
pub(super) fn of_fxiaoke(key: &Private<[u8; 32]>, body: &[u8]) -> Result<Piece, Fault> {
    let sealed = sealed(body).ok_or_else(|| Fault::Malformed(FXIAOKE_FORM.into()))?;
    let message = decrypt(key.reveal(), &sealed.content).ok_or_else(|| {
        Fault::Malformed("the content does not decrypt: the key in key_file is another one".into())
    })?;
    let row: Value = serde_json::from_slice(&message)
        .unwrap_or_else(|_| String::from_utf8_lossy(&message).into_owned().into());
    let first =
        |names: &[&str]| names.iter().find_map(|name| row.get(*name)).filter(|v| !v.is_null());
    let event = json!({
        "time": text(&sealed.time),
        "system": "fxiaoke",
        "user": first(&["operator", "operatorId", "userId"]),
        "action": first(&["eventType", "event", "operation", "op"]).map_or_else(|| "event".into(), text),
        "module": first(&["objectApiName", "apiName", "describeApiName", "objectDescribeApiName"]),
        "record": first(&["objectId", "dataId", "_id"]),
        "row": row,
    });
    Ok(piece(event))
}

fn decrypt(key: &[u8; 32], content: &str) -> Option<Vec<u8>> {
    let iv = key.first_chunk::<16>()?;
    let mut buffer = LENIENT.decode(content.trim()).ok()?;
    let plain = Decryptor::<Aes256>::new(key.into(), iv.into());
    let plain = plain.decrypt_padded::<NoPadding>(&mut buffer).ok()?;
    let length = plain.get(RANDOM_BYTES..)?.first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let begin = RANDOM_BYTES + LENGTH_BYTES;
    plain.get(begin..begin.checked_add(length)?).map(<[u8]>::to_vec)
}

fn notice(body: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(body).ok()
}

pub(super) fn check_zoho(sha256: &[u8; 32], body: &[u8]) -> Result<(), Unproven> {
    let notice = notice(body).ok_or(Unproven::MalformedBody(ZOHO_FORM))?;
    let token = notice.get("token").and_then(Value::as_str);
    let token = token.ok_or(Unproven::MalformedBody(ZOHO_FORM))?;
    // Digests are compared: the time taken tells nothing of the token.
    if Sha256::digest(token.as_bytes())[..] == sha256[..] {
        Ok(())
    } else {
        Err(Unproven::WrongToken)
    }
}

/// The event of a body that was proven, without its token.
pub(super) fn of_zoho(body: &[u8]) -> Result<Piece, Fault> {
    let mut notice = notice(body).ok_or_else(|| Fault::Malformed(ZOHO_FORM.into()))?;
    notice.remove("token");
    let ids = notice.get("ids").and_then(Value::as_array);
    let count = ids.map(Vec::len);
    let record = ids.filter(|ids| ids.len() == 1).and_then(|ids| ids.first()).cloned();
    let event = json!({
        "time": notice.get("server_time"),
        "system": "zoho",
        "action": notice.get("operation").map_or_else(|| "event".into(), text),
        "module": notice.get("module"),
        "record": record,
        "records": count,
        "row": notice,
    });
    Ok(piece(event))
}

fn piece(event: Value) -> Piece {
    Piece::new(Bytes::from(crate::crm::without_nothing(event).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cbc::{
        Encryptor,
        cipher::{BlockModeEncrypt as _, block_padding::Pkcs7},
    };
    use proptest::prelude::*;

    /// As their console makes it: the last letter holds bits that no byte has.
    const KEY: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ=";

    fn key() -> Private<[u8; 32]> {
        Private::new(fxiaoke_key(KEY).unwrap())
    }

    fn token() -> Private<String> {
        Private::new("token-of-this-test".into())
    }

    fn sealed_body(message: &[u8]) -> Value {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let plain = [&[7; 16][..], &length, message].concat();
        let key = key();
        let iv = key.reveal().first_chunk::<16>().unwrap();
        let mut buffer = vec![0; plain.len() + 16];
        let sealed = Encryptor::<Aes256>::new(key.reveal().into(), iv.into())
            .encrypt_padded_b2b::<Pkcs7>(&plain, &mut buffer)
            .unwrap();
        let content = LENIENT.encode(sealed);
        let mut parts = ["1796000000000", "n1", &content, "token-of-this-test"];
        parts.sort_unstable();
        let digest = Sha1::digest(parts.concat().as_bytes());
        let sig = crate::crm::hex(&digest).to_uppercase();
        json!({"nonce": "n1", "timeStamp": 1_796_000_000_000_u64, "content": content, "sig": sig})
    }

    #[test]
    fn a_callback_of_fxiaoke_is_proven_and_opened() {
        let message = json!({"eventType": "object_update", "objectApiName": "ContactObj", "objectId": "a1", "x": "数"});
        let body = sealed_body(message.to_string().as_bytes());
        check_fxiaoke(&token(), body.to_string().as_bytes()).unwrap();
        let piece = of_fxiaoke(&key(), body.to_string().as_bytes()).unwrap();
        let event: Value = serde_json::from_slice(&piece.bytes).unwrap();
        let expected = json!({
            "time": "1796000000000", "system": "fxiaoke", "action": "object_update", "module": "ContactObj",
            "record": "a1", "row": message,
        });
        assert_eq!(event, expected);
        for (name, value) in [
            ("nonce", json!("n2")),
            ("timeStamp", json!(1)),
            ("content", json!("AAAA")),
            ("sig", json!("00")),
        ] {
            let mut other = body.clone();
            other[name] = value;
            let error = check_fxiaoke(&token(), other.to_string().as_bytes());
            assert_eq!(error, Err(Unproven::WrongBody), "{name}");
        }
        let other = Private::new("another".into());
        assert_eq!(check_fxiaoke(&other, body.to_string().as_bytes()), Err(Unproven::WrongBody));
        assert!(matches!(check_fxiaoke(&token(), b"{}"), Err(Unproven::MalformedBody(_))));
        let wrong = Private::new([3; 32]);
        let error = of_fxiaoke(&wrong, body.to_string().as_bytes()).unwrap_err();
        assert!(error.text().contains("key_file"), "{}", error.text());
        let plain = of_fxiaoke(&key(), sealed_body(b"no JSON").to_string().as_bytes()).unwrap();
        assert!(
            plain.bytes.ends_with(br#""row":"no JSON","system":"fxiaoke","time":"1796000000000"}"#),
            "{:?}",
            plain.bytes
        );
    }

    #[test]
    fn openssl_and_another_sha1_give_the_same_signature() {
        // printf %s 17960000000000AAAAn1token-of-this-test | openssl dgst -sha1
        let body = r#"{"nonce":"n1","timeStamp":"17960000000000","content":"AAAA","sig":"SIG"}"#;
        let right = body.replace("SIG", "a9365700fc13567b49c46824f2428a02fa8650f7");
        assert_eq!(check_fxiaoke(&token(), right.as_bytes()), Ok(()));
    }

    #[test]
    fn a_notice_of_zoho_is_proven_by_its_token_which_is_not_kept() {
        let sha256 = Sha256::digest("token-of-this-test").into();
        let body = json!({
            "server_time": 1_796_000_000_000_u64, "module": "Leads", "operation": "update", "channel_id": "1",
            "token": "token-of-this-test", "ids": ["77"], "query_params": {},
        });
        let body = body.to_string();
        check_zoho(&sha256, body.as_bytes()).unwrap();
        let piece = of_zoho(body.as_bytes()).unwrap();
        assert!(!String::from_utf8_lossy(&piece.bytes).contains("-of-this-test"));
        let event: Value = serde_json::from_slice(&piece.bytes).unwrap();
        assert_eq!(
            (&event["action"], &event["module"], &event["record"], &event["records"]),
            (&json!("update"), &json!("Leads"), &json!("77"), &json!(1))
        );
        assert_eq!(check_zoho(&[0; 32], body.as_bytes()), Err(Unproven::WrongToken));
        assert!(matches!(
            check_zoho(&sha256, br#"{"module":"Leads"}"#),
            Err(Unproven::MalformedBody(_))
        ));
        assert!(matches!(check_zoho(&sha256, b"token=a"), Err(Unproven::MalformedBody(_))));
    }

    #[test]
    fn a_key_is_32_bytes_of_base64_however_it_ends() {
        assert!(fxiaoke_key(KEY).is_some() && fxiaoke_key(&KEY[..43]).is_some());
        assert!(fxiaoke_key("short").is_none() && fxiaoke_key("").is_none());
    }

    proptest! {
        #[test]
        fn no_content_makes_it_panic(content in "[A-Za-z0-9+/=]{0,120}", bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            drop(decrypt(key().reveal(), &content));
            drop(decrypt(key().reveal(), &LENIENT.encode(&bytes)));
            drop(check_zoho(&[0; 32], &bytes));
        }

        #[test]
        fn what_was_sealed_is_opened(message in prop::collection::vec(any::<u8>(), 0..100)) {
            let body = sealed_body(&message);
            let content = body["content"].as_str().unwrap();
            prop_assert_eq!(decrypt(key().reveal(), content), Some(message));
        }
    }
}
