//! Decimal numbers of 128 bits (IEEE 754-2008, the binary encoding) as text, as BSON's specification says:
//! <https://github.com/mongodb/specifications/blob/master/source/bson-decimal128/decimal128.md>.
//!
//! The one idea: a number is a sign, up to 34 digits, and a power of ten, and text shows the very digits: `1.50` stays
//! `1.50`. What text cannot say exactly is not rounded but refused.

use core::fmt::{self, Write};

const DIGITS: usize = 34;
const LARGEST: u128 = 10u128.pow(DIGITS as u32) - 1;
const BIAS: i32 = 6176;
#[cfg(feature = "json")]
const LEAST_EXPONENT: i32 = -BIAS;
#[cfg(feature = "json")]
const MOST_EXPONENT: i32 = 6111;

const SIGN: u128 = 1 << 127;
const INFINITY: u128 = 0b11110 << 122;
const NAN: u128 = 0b11111 << 122;
const EXPONENT_BITS: u128 = (1 << 14) - 1;

/// Writes the number in these bytes. One that is not canonical is the zero that the standard makes of it.
pub(crate) fn write(f: &mut impl Write, raw: [u8; 16]) -> fmt::Result {
    let bits = u128::from_le_bytes(raw);
    let special = bits & NAN;
    if special == NAN {
        return f.write_str("NaN");
    }
    if bits & SIGN != 0 {
        f.write_char('-')?;
    }
    if special == INFINITY {
        return f.write_str("Infinity");
    }
    // A number that begins with these two bits would have more than 34 digits.
    let (shift, digits) = match bits >> 125 & 3 {
        3 => (111, 0),
        _ => (113, bits & ((1 << 113) - 1)),
    };
    let digits = if digits > LARGEST { 0 } else { digits };
    let exponent = (bits >> shift & EXPONENT_BITS) as i32 - BIAS;
    let mut buffer = [0; 40];
    let digits = text_of(digits, &mut buffer);
    let scientific = exponent + digits.len() as i32 - 1;
    if exponent > 0 || scientific < -6 {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
        f.write_str(first)?;
        if !rest.is_empty() {
            write!(f, ".{rest}")?;
        }
        return write!(f, "E{scientific:+}");
    }
    let behind = exponent.unsigned_abs() as usize;
    match digits.len().checked_sub(behind) {
        _ if behind == 0 => f.write_str(digits),
        Some(before) if before > 0 => {
            let (whole, part) = digits.split_at_checked(before).unwrap_or((digits, ""));
            write!(f, "{whole}.{part}")
        }
        _ => write!(f, "0.{digits:0>behind$}"),
    }
}

/// The decimal digits of a number.
fn text_of(mut number: u128, buffer: &mut [u8; 40]) -> &str {
    let mut start = buffer.len();
    for place in buffer.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        start -= 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    let digits = buffer.get(start..).unwrap_or_default();
    core::str::from_utf8(digits).unwrap_or_default()
}

/// The number that a text says, if it is one that needs no rounding.
#[cfg(feature = "json")]
pub(crate) fn parse(text: &str) -> Option<[u8; 16]> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (SIGN, rest),
        None => (0, text.strip_prefix('+').unwrap_or(text)),
    };
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("NaN") {
        return Some((sign | NAN).to_le_bytes());
    }
    if is("Infinity") || is("Inf") {
        return Some((sign | INFINITY).to_le_bytes());
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, whole(exponent)?),
        None => (text, 0),
    };
    let (before, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if before.is_empty() && behind.is_empty() {
        return None;
    }
    let behind_length = i32::try_from(behind.len()).ok()?;
    let mut exponent = exponent.checked_sub(behind_length)?;
    let mut digits = 0u128;
    for character in before.chars().chain(behind.chars()) {
        let digit = character.to_digit(10)?;
        match digits.checked_mul(10) {
            Some(more) if more + u128::from(digit) <= LARGEST => digits = more + u128::from(digit),
            // More digits than there is room for say nothing if they are zeros.
            _ if digit == 0 => exponent = exponent.checked_add(1)?,
            _ => return None,
        }
    }
    if digits == 0 {
        exponent = exponent.clamp(LEAST_EXPONENT, MOST_EXPONENT);
    }
    while exponent > MOST_EXPONENT && digits * 10 <= LARGEST {
        digits *= 10;
        exponent -= 1;
    }
    while exponent < LEAST_EXPONENT && digits.is_multiple_of(10) {
        digits /= 10;
        exponent += 1;
    }
    if !(LEAST_EXPONENT..=MOST_EXPONENT).contains(&exponent) {
        return None;
    }
    let biased = u128::try_from(exponent + BIAS).ok()?;
    Some((sign | biased << 113 | digits).to_le_bytes())
}

/// A whole number with a sign or none. What is beyond all exponents is at the end of them.
#[cfg(feature = "json")]
fn whole(text: &str) -> Option<i32> {
    const FAR: i32 = 1 << 20;
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let far = if text.starts_with('-') { -FAR } else { FAR };
    Some(text.parse().unwrap_or(far).clamp(-FAR, FAR))
}
