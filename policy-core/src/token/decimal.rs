//! Numbers of JSON that are no integers of 64 bits, as they are written: a float would need tables to read, and round.

/// A number of JSON, in its parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Decimal<'a> {
    negative: bool,
    /// Before the point, without zeros in front.
    whole: &'a str,
    /// Behind the point.
    fraction: &'a str,
    /// The power of ten that all of it is to be multiplied by; the largest or least where it is beyond.
    exponent: i32,
}

impl<'a> Decimal<'a> {
    /// Takes apart a number that is one.
    pub(super) fn parse(numeral: &'a str) -> Self {
        let (mantissa, exponent) = numeral.split_once(['e', 'E']).unwrap_or((numeral, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (negative, whole) = whole.strip_prefix('-').map_or((false, whole), |whole| (true, whole));
        let beyond = if exponent.starts_with('-') { i32::MIN } else { i32::MAX };
        let exponent = exponent.parse().unwrap_or(beyond);
        Self { negative, whole: whole.trim_start_matches('0'), fraction, exponent }
    }

    /// How many digits it has before its point when it is written without an exponent; 0 for one below 1.
    pub(super) fn digits_before_point(&self) -> usize {
        self.digits_to(0)
    }

    /// How many digits it has down to those that stand for a tenth of a tenth …, so many times. None for nothing.
    fn digits_to(&self, places: i32) -> usize {
        let leading = if self.whole.is_empty() {
            let digits = self.fraction.trim_start_matches('0').len();
            if digits == 0 {
                return 0;
            }
            // So many zeros follow the point.
            i64::try_from(digits).unwrap_or(0).saturating_sub(i64::try_from(self.fraction.len()).unwrap_or(0))
        } else {
            i64::try_from(self.whole.len()).unwrap_or(i64::MAX)
        };
        let digits = leading.saturating_add(self.exponent.into()).saturating_add(places.into());
        usize::try_from(digits.max(0)).unwrap_or(usize::MAX)
    }

    /// It as millionths, of which less than one is cut. None where 64 bits do not hold them.
    pub(super) fn millionths(&self) -> Option<i64> {
        let count = self.digits_to(6);
        // 64 bits hold 19 digits.
        if count > 19 {
            return None;
        }
        let behind =
            if self.whole.is_empty() { self.fraction.trim_start_matches('0') } else { self.fraction };
        let digits = self.whole.bytes().chain(behind.bytes()).chain(core::iter::repeat(b'0'));
        digits.take(count).try_fold(0_i64, |number, digit| {
            let digit = i64::from(digit.saturating_sub(b'0'));
            let number = number.checked_mul(10)?;
            if self.negative { number.checked_sub(digit) } else { number.checked_add(digit) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millionths_are_exact() {
        let millionths = |numeral| Decimal::parse(numeral).millionths();
        for (numeral, expected) in [
            ("0.1", 100_000),
            ("-0.1", -100_000),
            ("0.0000019", 1),
            ("-0.0000019", -1),
            ("0.00000019", 0),
            ("1700000000.123456789", 1_700_000_000_123_456),
            ("1.7e9", 1_700_000_000_000_000),
            ("17000000000e-1", 1_700_000_000_000_000),
            ("0.00017E+13", 1_700_000_000_000_000),
            ("-0", 0),
            ("0e99999999999", 0),
            ("1e-99999999999", 0),
            ("9223372036854.775807", i64::MAX),
            ("-9223372036854.775808", i64::MIN),
        ] {
            assert_eq!(millionths(numeral), Some(expected), "{numeral}");
        }
        for numeral in
            ["9223372036854.775808", "-9223372036854.775809", "1e13", "1e99999999999", "18446744073709551616"]
        {
            assert_eq!(millionths(numeral), None, "{numeral}");
        }
        assert_eq!(Decimal::parse("1e308").digits_before_point(), 309);
        assert_eq!(Decimal::parse("0.001e3").digits_before_point(), 1);
    }
}
