//! Exact arithmetic on `numeric` with the result scales of PostgreSQL 15.

use super::{BASE, DIGIT_WIDTH, Digits, MAX_SCALE, Numeric};
use crate::types::datum::NumericSign;
use crate::{Result, SqlError, SqlState};
use num_bigint::BigUint;
use num_traits::{ToPrimitive, Zero};
use std::cmp::Ordering;

/// Significant digits that division, roots and logarithms give at least.
pub(crate) const MIN_SIGNIFICANT: i32 = 16;
/// Largest scale that an inexact result is given.
pub(crate) const MAX_DISPLAY_SCALE: i32 = 1000;

pub(crate) fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

impl Numeric {
    fn int_scale(&self) -> i32 {
        i32::from(self.scale)
    }

    /// The value with the opposite sign.
    pub fn negate(&self) -> Numeric {
        let sign = match self.sign {
            NumericSign::NaN => NumericSign::NaN,
            NumericSign::Infinity => NumericSign::NegInfinity,
            NumericSign::NegInfinity => NumericSign::Infinity,
            _ if self.digits.is_empty() => NumericSign::Positive,
            NumericSign::Positive => NumericSign::Negative,
            NumericSign::Negative => NumericSign::Positive,
        };
        Numeric { sign, ..self.clone() }
    }

    pub fn abs(&self) -> Numeric {
        if self.signum() < 0 { self.negate() } else { self.clone() }
    }

    pub fn add(&self, other: &Numeric) -> Result<Numeric> {
        match (self.sign, other.sign) {
            (NumericSign::NaN, _) | (_, NumericSign::NaN) => return Ok(Numeric::nan()),
            (NumericSign::Infinity, NumericSign::NegInfinity)
            | (NumericSign::NegInfinity, NumericSign::Infinity) => return Ok(Numeric::nan()),
            (NumericSign::Infinity | NumericSign::NegInfinity, _) => return Ok(self.clone()),
            (_, NumericSign::Infinity | NumericSign::NegInfinity) => return Ok(other.clone()),
            _ => {}
        }
        let scale = self.int_scale().max(other.int_scale());
        if self.is_negative() == other.is_negative() {
            let (weight, digits) = add_magnitudes(self, other);
            return Numeric::build(self.is_negative(), weight, scale, digits);
        }
        match self.compare_abs(other) {
            Ordering::Equal => Ok(Numeric::zero(scale as u16)),
            Ordering::Greater => {
                let (weight, digits) = subtract_magnitudes(self, other);
                Numeric::build(self.is_negative(), weight, scale, digits)
            }
            Ordering::Less => {
                let (weight, digits) = subtract_magnitudes(other, self);
                Numeric::build(other.is_negative(), weight, scale, digits)
            }
        }
    }

    pub fn sub(&self, other: &Numeric) -> Result<Numeric> {
        self.add(&other.negate())
    }

    pub fn mul(&self, other: &Numeric) -> Result<Numeric> {
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::nan());
        }
        if self.is_infinite() || other.is_infinite() {
            return Ok(match self.signum() * other.signum() {
                0 => Numeric::nan(),
                1 => Numeric::infinity(),
                _ => Numeric::neg_infinity(),
            });
        }
        let exact = self.mul_exact(other);
        let scale = self.int_scale() + other.int_scale();
        let value = if scale > MAX_SCALE { exact.round(MAX_SCALE) } else { exact };
        Numeric::build(value.is_negative(), value.weight, scale.min(MAX_SCALE), value.digits)
    }

    /// The product of two finite values with all its digits.
    pub(crate) fn mul_exact(&self, other: &Numeric) -> Numeric {
        let scale = self.int_scale() + other.int_scale();
        if self.digits.is_empty() || other.digits.is_empty() {
            return Numeric::build_unchecked(false, 0, scale, Digits::new());
        }
        let mut sums = vec![0u64; self.digits.len() + other.digits.len()];
        for (i, a) in self.digits.iter().enumerate() {
            // A position collects at most 10^8 a row; u64 holds 10^11 rows.
            for (j, b) in other.digits.iter().enumerate() {
                sums[i + j + 1] += u64::from(*a) * u64::from(*b);
            }
        }
        let mut carry = 0u64;
        for sum in sums.iter_mut().rev() {
            let total = *sum + carry;
            *sum = total % u64::from(BASE);
            carry = total / u64::from(BASE);
        }
        let digits = sums.iter().map(|digit| *digit as u16).collect();
        let negative = self.is_negative() != other.is_negative();
        Numeric::build_unchecked(negative, self.weight + other.weight + 1, scale, digits)
    }

    /// Division with PostgreSQL's choice of scale, rounded half away from zero.
    pub fn div(&self, other: &Numeric) -> Result<Numeric> {
        if let Some(special) = self.div_special(other)? {
            return Ok(special);
        }
        let scale = self.div_scale(other);
        let value = self.div_to(other, scale).round(scale);
        Numeric::build(value.is_negative(), value.weight, scale, value.digits)
    }

    /// The answers that involve NaN, infinities or a zero divisor.
    fn div_special(&self, other: &Numeric) -> Result<Option<Numeric>> {
        if self.is_nan() || other.is_nan() {
            return Ok(Some(Numeric::nan()));
        }
        if self.is_infinite() {
            return match (other.is_infinite(), self.signum() * other.signum()) {
                (true, _) => Ok(Some(Numeric::nan())),
                (false, 0) => Err(division_by_zero()),
                (false, 1) => Ok(Some(Numeric::infinity())),
                (false, _) => Ok(Some(Numeric::neg_infinity())),
            };
        }
        if other.is_infinite() {
            return Ok(Some(Numeric::zero(0)));
        }
        if other.is_zero() { Err(division_by_zero()) } else { Ok(None) }
    }

    /// The display scale of a quotient: at least 16 significant digits and both inputs' scales.
    fn div_scale(&self, other: &Numeric) -> i32 {
        let lead = |n: &Numeric| n.digits.first().map_or((0, 0), |first| (n.weight, *first));
        let ((weight1, first1), (weight2, first2)) = (lead(self), lead(other));
        let mut weight = weight1 - weight2;
        if first1 <= first2 {
            weight -= 1;
        }
        (MIN_SIGNIFICANT - weight * DIGIT_WIDTH)
            .max(self.int_scale())
            .max(other.int_scale())
            .clamp(0, MAX_DISPLAY_SCALE)
    }

    /// The quotient of finite values, exact to at least one digit below `scale`, cut off after.
    pub(crate) fn div_to(&self, other: &Numeric, scale: i32) -> Numeric {
        if self.digits.is_empty() {
            return Numeric::zero(scale.max(0) as u16);
        }
        // Quotient digits needed below the point, in base-10000 digits.
        let below = (scale.max(0) + DIGIT_WIDTH - 1) / DIGIT_WIDTH + 1;
        let shift = below + lowest_exponent(self) - lowest_exponent(other);
        let mut dividend = self.digits.to_vec();
        if shift >= 0 {
            dividend.resize(dividend.len() + shift as usize, 0);
        } else {
            dividend.truncate(dividend.len().saturating_sub((-shift) as usize));
        }
        let digits = long_division(&dividend, &other.digits);
        let weight = digits.len() as i32 - 1 - below;
        let negative = self.is_negative() != other.is_negative();
        Numeric::build_unchecked(negative, weight, scale, digits)
    }

    /// `div()`: the integer quotient, towards zero, scale 0.
    pub fn div_trunc(&self, other: &Numeric) -> Result<Numeric> {
        if let Some(special) = self.div_special(other)? {
            return Ok(special);
        }
        let value = self.div_to(other, 0).trunc(0);
        Numeric::build(value.is_negative(), value.weight, 0, value.digits)
    }

    /// The remainder, with the sign of the dividend.
    pub fn rem(&self, other: &Numeric) -> Result<Numeric> {
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::nan());
        }
        if self.is_infinite() {
            return if other.is_zero() { Err(division_by_zero()) } else { Ok(Numeric::nan()) };
        }
        if other.is_infinite() {
            return Ok(self.clone());
        }
        if other.is_zero() {
            return Err(division_by_zero());
        }
        let quotient = self.div_to(other, 0).trunc(0);
        let scale = self.int_scale().max(other.int_scale());
        let mut rest = self.sub(&quotient.mul_exact(other))?;
        rest.scale = scale as u16;
        Ok(rest)
    }

    /// Rounds half away from zero to `scale` decimal digits after the point (before it, when
    /// negative). The result shows max(scale, 0) digits.
    pub fn round(&self, scale: i32) -> Numeric {
        self.cut(scale, true)
    }

    /// As `round`, towards zero.
    pub fn trunc(&self, scale: i32) -> Numeric {
        self.cut(scale, false)
    }

    fn cut(&self, scale: i32, round: bool) -> Numeric {
        if !self.is_finite() {
            return self.clone();
        }
        let shown = scale.max(0);
        // Decimal digits kept, counted from the first digit's highest position.
        let keep = (self.weight + 1) * DIGIT_WIDTH + scale;
        let whole = keep.div_euclid(DIGIT_WIDTH);
        let part = keep.rem_euclid(DIGIT_WIDTH);
        if self.digits.is_empty() || whole >= self.digits.len() as i32 {
            return Numeric { scale: shown.min(MAX_SCALE) as u16, ..self.clone() };
        }
        if keep < 0 {
            return Numeric::zero(shown as u16);
        }
        let whole = whole as usize;
        let mut digits: Digits = self.digits[..whole].into();
        let unit = 10u16.pow((DIGIT_WIDTH - part) as u32);
        let last = self.digits[whole];
        let up = round && (u32::from(last % unit) * 2 >= u32::from(unit));
        let kept = last - last % unit;
        digits.push(kept);
        let mut weight = self.weight;
        if up {
            let mut carry = if part == 0 { 0 } else { unit };
            let mut at = whole;
            if part == 0 {
                // The rounding unit is one of the digit before.
                carry = 1;
                if at == 0 {
                    digits.insert(0, 1);
                    weight += 1;
                    carry = 0;
                } else {
                    at -= 1;
                }
            }
            while carry > 0 {
                let sum = digits[at] + carry;
                if u32::from(sum) < BASE {
                    digits[at] = sum;
                    break;
                }
                digits[at] = sum - BASE as u16;
                carry = 1;
                if at == 0 {
                    digits.insert(0, 1);
                    weight += 1;
                    break;
                }
                at -= 1;
            }
        }
        Numeric::build_unchecked(self.is_negative(), weight, shown, digits)
    }

    pub fn ceil(&self) -> Result<Numeric> {
        let whole = self.trunc(0);
        if self.compare(&whole) == Ordering::Greater { whole.add(&Numeric::from_i64(1)) } else { Ok(whole) }
    }

    pub fn floor(&self) -> Result<Numeric> {
        let whole = self.trunc(0);
        if self.compare(&whole) == Ordering::Less { whole.sub(&Numeric::from_i64(1)) } else { Ok(whole) }
    }

    /// The square root; 2201F for a negative value.
    pub fn sqrt(&self) -> Result<Numeric> {
        if self.signum() < 0 {
            return Err(SqlError::new(
                SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                "cannot take square root of a negative number",
            ));
        }
        if !self.is_finite() {
            return Ok(self.clone());
        }
        let weight = (self.weight + 1) * DIGIT_WIDTH / 2 - 1;
        let scale = (MIN_SIGNIFICANT - weight).max(self.int_scale()).clamp(0, MAX_DISPLAY_SCALE);
        // floor(sqrt(x · 10^(2·(scale + 4)))), then rounded: the digits below tell the half apart.
        let extra = scale + DIGIT_WIDTH;
        let root = self.to_scaled(2 * extra).sqrt();
        Ok(Numeric::from_scaled(false, &root, extra).round(scale))
    }

    /// |x| · 10^scale as an integer, cut off.
    pub(crate) fn to_scaled(&self, scale: i32) -> BigUint {
        let mut value = BigUint::zero();
        for chunk in self.digits.chunks(4) {
            let (mut factor, mut sum) = (1u64, 0u64);
            for digit in chunk {
                factor *= u64::from(BASE);
                sum = sum * u64::from(BASE) + u64::from(*digit);
            }
            value = value * factor + sum;
        }
        let exponent = (self.weight + 1 - self.digits.len() as i32) * DIGIT_WIDTH + scale;
        let power = BigUint::from(10u32).pow(exponent.unsigned_abs());
        if exponent >= 0 { value * power } else { value / power }
    }

    /// ±value · 10^-scale, without a check of its size.
    pub(crate) fn from_scaled(negative: bool, value: &BigUint, scale: i32) -> Numeric {
        // Pad so that the point falls between two base-10000 digits.
        let pad = (-scale).rem_euclid(DIGIT_WIDTH) as u32;
        let padded = value * 10u32.pow(pad);
        let below = (scale + pad as i32) / DIGIT_WIDTH;
        let digits = base_digits(&padded);
        let weight = digits.len() as i32 - 1 - below;
        Numeric::build_unchecked(negative, weight, scale.max(0), digits)
    }
}

/// The base-10000 digits of an integer, most significant first.
fn base_digits(value: &BigUint) -> Digits {
    if let Some(mut small) = value.to_u128() {
        let mut digits = Digits::new();
        while small > 0 {
            digits.push((small % u128::from(BASE)) as u16);
            small /= u128::from(BASE);
        }
        digits.reverse();
        return digits;
    }
    let decimal = value.to_radix_be(10);
    let head = (decimal.len() - 1) % DIGIT_WIDTH as usize + 1;
    let number = |part: &[u8]| part.iter().fold(0u16, |sum, d| sum * 10 + u16::from(*d));
    std::iter::once(number(&decimal[..head])).chain(decimal[head..].chunks(4).map(number)).collect()
}

/// The digit of `n` at an exponent (base 10000).
fn digit_at(n: &Numeric, exponent: i32) -> i32 {
    usize::try_from(n.weight - exponent).ok().and_then(|at| n.digits.get(at)).map_or(0, |d| i32::from(*d))
}

fn lowest_exponent(n: &Numeric) -> i32 {
    n.weight + 1 - n.digits.len() as i32
}

fn add_magnitudes(a: &Numeric, b: &Numeric) -> (i32, Digits) {
    if a.digits.is_empty() {
        return (b.weight, b.digits.clone());
    }
    if b.digits.is_empty() {
        return (a.weight, a.digits.clone());
    }
    let weight = a.weight.max(b.weight) + 1;
    let low = lowest_exponent(a).min(lowest_exponent(b));
    let mut digits = Digits::from_elem(0, (weight - low + 1) as usize);
    let mut carry = 0;
    for exponent in low..=weight {
        let sum = digit_at(a, exponent) + digit_at(b, exponent) + carry;
        digits[(weight - exponent) as usize] = (sum % BASE as i32) as u16;
        carry = sum / BASE as i32;
    }
    (weight, digits)
}

/// |a| - |b| for |a| > |b|.
fn subtract_magnitudes(a: &Numeric, b: &Numeric) -> (i32, Digits) {
    if b.digits.is_empty() {
        return (a.weight, a.digits.clone());
    }
    let weight = a.weight;
    let low = lowest_exponent(a).min(lowest_exponent(b));
    let mut digits = Digits::from_elem(0, (weight - low + 1) as usize);
    let mut borrow = 0;
    for exponent in low..=weight {
        let mut difference = digit_at(a, exponent) - digit_at(b, exponent) - borrow;
        borrow = i32::from(difference < 0);
        if difference < 0 {
            difference += BASE as i32;
        }
        digits[(weight - exponent) as usize] = difference as u16;
    }
    (weight, digits)
}

/// Schoolbook division of digit strings (Knuth, TAOCP 2, algorithm D); the quotient has as many
/// digits as the dividend.
fn long_division(dividend: &[u16], divisor: &[u16]) -> Digits {
    let base = u64::from(BASE);
    if divisor.len() <= 4 {
        let by = divisor.iter().fold(0u64, |sum, d| sum * base + u64::from(*d));
        let mut rest = 0u128;
        return dividend
            .iter()
            .map(|digit| {
                let current = rest * u128::from(base) + u128::from(*digit);
                rest = current % u128::from(by);
                (current / u128::from(by)) as u16
            })
            .collect();
    }
    let factor = base / (u64::from(divisor[0]) + 1);
    let scale = |digits: &[u16], width: usize| {
        let mut out = vec![0u64; width];
        let mut carry = 0;
        for (slot, digit) in out.iter_mut().rev().zip(digits.iter().rev().chain(std::iter::repeat(&0))) {
            let product = u64::from(*digit) * factor + carry;
            *slot = product % base;
            carry = product / base;
        }
        out
    };
    let n = divisor.len();
    let v = scale(divisor, n);
    let mut u = scale(dividend, dividend.len() + 1);
    let mut quotient = Digits::from_elem(0, dividend.len());
    if dividend.len() < n {
        return quotient;
    }
    for j in 0..=dividend.len() - n {
        let head = u[j] * base + u[j + 1];
        let (mut q, mut r) = (head / v[0], head % v[0]);
        while q >= base || q * v[1] > r * base + u[j + 2] {
            q -= 1;
            r += v[0];
            if r >= base {
                break;
            }
        }
        let (mut borrow, mut carry) = (0i64, 0u64);
        for i in (0..n).rev() {
            let product = q * v[i] + carry;
            carry = product / base;
            let mut difference = u[j + i + 1] as i64 - (product % base) as i64 - borrow;
            borrow = i64::from(difference < 0);
            if difference < 0 {
                difference += base as i64;
            }
            u[j + i + 1] = difference as u64;
        }
        let top = u[j] as i64 - carry as i64 - borrow;
        u[j] = 0;
        if top < 0 {
            q -= 1;
            let mut carry = 0;
            for i in (0..n).rev() {
                let sum = u[j + i + 1] + v[i] + carry;
                u[j + i + 1] = sum % base;
                carry = sum / base;
            }
        }
        quotient[j + n - 1] = q as u16;
    }
    quotient
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(text: &str) -> Numeric {
        Numeric::parse(text).unwrap()
    }

    #[test]
    fn adds_and_subtracts() {
        for (a, b, sum, difference) in [
            ("1", "2.50", "3.50", "-1.50"),
            ("9999.9999", "0.0001", "10000.0000", "9999.9998"),
            ("-1e20", "1", "-99999999999999999999", "-100000000000000000001"),
            ("0.1", "0.1", "0.2", "0.0"),
            ("inf", "1", "Infinity", "Infinity"),
            ("inf", "inf", "Infinity", "NaN"),
        ] {
            assert_eq!(n(a).add(&n(b)).unwrap().to_string(), sum);
            assert_eq!(n(a).sub(&n(b)).unwrap().to_string(), difference);
        }
    }

    #[test]
    fn divides_with_the_scale_of_postgres() {
        for (a, b, quotient) in [
            ("1", "3.0", "0.33333333333333333333"),
            ("10.0", "3", "3.3333333333333333"),
            ("1e-10", "3", "0.0000000000333333333333333333"),
            ("100000000", "7", "14285714.285714285714"),
            ("2", "3", "0.66666666666666666667"),
            ("0.0", "3.5", "0.00000000000000000000"),
            ("12345678901234567890123456789012345678", "98765432109876543210", "124999998860937500"),
        ] {
            assert_eq!(n(a).div(&n(b)).unwrap().to_string(), quotient, "{a} / {b}");
        }
        assert_eq!(n("1").div(&n("0")).unwrap_err().code(), SqlState::DIVISION_BY_ZERO);
    }

    #[test]
    fn multiplication_and_division_agree() {
        // q·b + r = a over digit patterns that force the estimate's corrections.
        let parts = [
            "99999999999999999999",
            "10000000000000000",
            "1",
            "5000500050005000500049999999",
            "9999000000009999",
        ];
        for a in parts {
            for b in parts {
                for c in parts {
                    let a = n(a).mul(&n(c)).unwrap().add(&n("4999")).unwrap();
                    let (q, r) = (a.div_trunc(&n(b)).unwrap(), a.rem(&n(b)).unwrap());
                    assert_eq!(q.mul(&n(b)).unwrap().add(&r).unwrap().to_string(), a.to_string());
                    assert_eq!(r.compare_abs(&n(b)), Ordering::Less);
                }
            }
        }
    }

    #[test]
    fn rounds_half_away_from_zero() {
        for (value, scale, rounded, cut) in [
            ("2.5", 0, "3", "2"),
            ("-2.5", 0, "-3", "-2"),
            ("0.5", 0, "1", "0"),
            ("0.4999", 0, "0", "0"),
            ("9999.99995", 4, "10000.0000", "9999.9999"),
            ("12345", -2, "12300", "12300"),
            ("5555", -4, "10000", "0"),
            ("99999999.5", 0, "100000000", "99999999"),
            ("1.2", 4, "1.2000", "1.2000"),
            ("0.00005", 4, "0.0001", "0.0000"),
        ] {
            assert_eq!(n(value).round(scale).to_string(), rounded, "round {value} {scale}");
            assert_eq!(n(value).trunc(scale).to_string(), cut, "trunc {value} {scale}");
        }
        assert_eq!(n("-1.5").ceil().unwrap().to_string(), "-1");
        assert_eq!(n("-1.5").floor().unwrap().to_string(), "-2");
    }

    #[test]
    fn takes_remainders_and_roots() {
        assert_eq!(n("-5.5").rem(&n("2")).unwrap().to_string(), "-1.5");
        assert_eq!(n("2").sqrt().unwrap().to_string(), "1.414213562373095");
        assert_eq!(n("0.0001").sqrt().unwrap().to_string(), "0.01000000000000000");
        assert_eq!(n("1e10").sqrt().unwrap().to_string(), "100000.00000000000");
        assert!(n("-1").sqrt().is_err());
    }
}
