//! Which digits can be a card number: the brands' number ranges with their lengths, and the check digit.

/// A range of leading digits, both ends included, and the lengths its numbers have, one bit a length.
struct Range {
    first: u32,
    last: u32,
    lengths: u32,
}

const fn lengths(from: u32, to: u32) -> u32 {
    (2 << to) - (1 << from)
}

const fn range(first: u32, last: u32, lengths: u32) -> Range {
    Range { first, last, lengths }
}

/// The standard leaves 14 to 19 open; cards have 14, 16 or 19 digits. The lengths between are those of
/// filter weights and counters on Windows hosts.
const DINERS: u32 = lengths(14, 14) | lengths(16, 16) | lengths(19, 19);
const MAESTRO: u32 = lengths(16, 16) | lengths(18, 19);

/// Issuer identification numbers (ISO/IEC 7812), as the brands publish them, filled up to six digits.
const RANGES: &[Range] = &[
    // Mir
    range(220_000, 220_499, lengths(16, 19)),
    // Mastercard
    range(222_100, 272_099, lengths(16, 16)),
    range(510_000, 559_999, lengths(16, 16)),
    // Diners Club
    range(300_000, 305_999, DINERS),
    range(309_500, 309_599, DINERS),
    range(360_000, 369_999, DINERS),
    range(380_000, 399_999, DINERS),
    // American Express
    range(340_000, 349_999, lengths(15, 15)),
    range(370_000, 379_999, lengths(15, 15)),
    // JCB
    range(352_800, 358_999, lengths(16, 19)),
    // Visa
    range(400_000, 499_999, lengths(13, 13) | lengths(16, 16) | lengths(19, 19)),
    // Maestro: every length for the prefixes it names, the usual ones for the ranges it holds
    range(501_800, 501_899, lengths(13, 19)),
    range(502_000, 502_099, lengths(13, 19)),
    range(503_800, 503_899, lengths(13, 19)),
    range(589_300, 589_399, lengths(13, 19)),
    range(630_400, 630_499, lengths(13, 19)),
    range(675_900, 675_999, lengths(13, 19)),
    range(676_100, 676_399, lengths(13, 19)),
    range(500_000, 509_999, MAESTRO),
    range(560_000, 589_999, MAESTRO),
    range(639_000, 639_099, MAESTRO),
    range(670_000, 679_999, MAESTRO),
    // Discover, RuPay
    range(601_100, 601_199, lengths(16, 19)),
    range(640_000, 659_999, lengths(16, 19)),
    range(606_000, 608_999, lengths(16, 16)),
    range(817_200, 820_199, lengths(16, 16)),
    // UnionPay
    range(620_000, 629_999, lengths(16, 19)),
    range(810_000, 817_199, lengths(16, 19)),
    // InstaPayment, Elo, Hipercard
    range(636_000, 639_999, lengths(16, 16)),
    // Uzcard, Humo, Troy
    range(860_000, 860_099, lengths(16, 16)),
    range(986_000, 986_099, lengths(16, 16)),
    range(979_200, 979_299, lengths(16, 16)),
];

/// Whether these 13–19 ASCII digits are a number that a brand gives out, check digit included.
pub(super) fn is_card(digits: &[u8]) -> bool {
    let Some(leading) = digits.get(..6) else { return false };
    let leading = leading.iter().fold(0, |n, digit| n * 10 + u32::from(digit.wrapping_sub(b'0')));
    let length = 1_u32.checked_shl(u32::try_from(digits.len()).unwrap_or(u32::MAX)).unwrap_or(0);
    let of_brand = RANGES
        .iter()
        .any(|range| (range.first..=range.last).contains(&leading) && range.lengths & length != 0);
    of_brand && has_check_digit(digits)
}

/// The check of ISO/IEC 7812-1, annex B: every second digit from the right doubled, digits summed.
fn has_check_digit(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit.wrapping_sub(b'0'));
            let doubled = digit * 2;
            match place % 2 {
                0 => digit,
                _ if doubled > 9 => doubled - 9,
                _ => doubled,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brands_published_test_numbers_are_cards() {
        for number in [
            "4111111111111111",
            "4222222222222",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "30569309025904",
            "6011111111111117",
            "3530111333300000",
            "6200000000000005",
            "6759649826438453",
        ] {
            assert!(is_card(number.as_bytes()), "{number}");
        }
    }

    #[test]
    fn a_wrong_check_digit_range_or_length_is_no_card() {
        for number in
            ["4111111111111112", "411111111111111", "1111111111111117", "0000000000000000"]
        {
            assert!(!is_card(number.as_bytes()), "{number}");
        }
    }
}
