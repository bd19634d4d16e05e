//! exp, ln, log and power on `numeric`: the scale of the result is PostgreSQL 15's choice, its
//! digits are computed in fixed point with guard digits and rounded.

use super::arith::{MAX_DISPLAY_SCALE, MIN_SIGNIFICANT, division_by_zero};
use super::{BASE, DIGIT_WIDTH, MAX_WEIGHT, Numeric, overflow};
use crate::types::datum::NumericSign;
use crate::{Result, SqlError, SqlState};
use num_bigint::{BigInt, BigUint, Sign};
use num_traits::{One, Signed, ToPrimitive, Zero};

/// Decimal digits carried beyond the result's scale.
const GUARD: i32 = 24;
const LOG10_E: f64 = std::f64::consts::LOG10_E;
/// Largest decimal exponent that scales are computed with.
const MAX_RESULT: f64 = 2000.0;

/// A fixed-point number: `value` · 10^-scale; `one` is 10^scale.
struct Fixed {
    one: BigInt,
}

impl Fixed {
    fn new(scale: i32) -> Fixed {
        Fixed { one: BigInt::from(10).pow(scale.max(0) as u32) }
    }

    fn mul(&self, a: &BigInt, b: &BigInt) -> BigInt {
        a * b / &self.one
    }

    fn div(&self, a: &BigInt, b: &BigInt) -> BigInt {
        a * &self.one / b
    }

    /// e^x: halves the argument until the series converges fast, then squares back.
    fn exp(&self, x: &BigInt) -> BigInt {
        let mut halvings = 0u32;
        let mut small = x.clone();
        while small.abs() * 64 > self.one {
            small /= 2;
            halvings += 1;
        }
        let (mut sum, mut term, mut k) = (&self.one + &small, small.clone(), 2u32);
        loop {
            term = self.mul(&term, &small) / k;
            if term.is_zero() {
                break;
            }
            sum += &term;
            k += 1;
        }
        for _ in 0..halvings {
            sum = self.mul(&sum, &sum);
        }
        sum
    }

    /// ln x for x > 0: takes square roots until x is near 1, then sums the series of atanh.
    fn ln(&self, x: &BigInt) -> BigInt {
        let mut near = x.clone();
        let mut doublings = 0u32;
        let limit = &self.one / 16;
        while (&near - &self.one).abs() > limit {
            near = (near * &self.one).sqrt();
            doublings += 1;
        }
        let ratio = self.div(&(&near - &self.one), &(&near + &self.one));
        let square = self.mul(&ratio, &ratio);
        let (mut sum, mut power, mut k) = (ratio.clone(), ratio, 3u32);
        loop {
            power = self.mul(&power, &square);
            let term: BigInt = &power / k;
            if term.is_zero() {
                break;
            }
            sum += term;
            k += 2;
        }
        sum << (doublings + 1)
    }
}

fn signed(n: &Numeric, scale: i32) -> BigInt {
    let magnitude = n.to_scaled(scale);
    BigInt::from_biguint(if n.is_negative() { Sign::Minus } else { Sign::Plus }, magnitude)
}

fn to_numeric(value: &BigInt, scale: i32, result_scale: i32) -> Result<Numeric> {
    let n = Numeric::from_scaled(value.is_negative(), value.magnitude(), scale).round(result_scale);
    Numeric::build(n.is_negative(), n.weight, result_scale, n.digits)
}

fn approximate(n: &Numeric) -> f64 {
    n.to_f64().unwrap_or(if n.is_negative() { f64::NEG_INFINITY } else { f64::INFINITY })
}

/// Decimal weight of ln(x), estimated as PostgreSQL does.
fn ln_weight(n: &Numeric) -> i32 {
    if n.signum() <= 0 || !n.is_finite() {
        return 0;
    }
    let value = approximate(n);
    if (0.9..=1.1).contains(&value) {
        let Ok(distance) = n.sub(&Numeric::from_i64(1)) else { return 0 };
        return distance
            .digits
            .first()
            .map_or(0, |first| distance.weight * DIGIT_WIDTH + first.ilog10() as i32);
    }
    let mut digits = f64::from(n.digits[0]);
    let mut weight = n.weight * DIGIT_WIDTH;
    if let Some(second) = n.digits.get(1) {
        digits = digits * f64::from(BASE) + f64::from(*second);
        weight -= DIGIT_WIDTH;
    }
    let ln = digits.ln() + f64::from(weight) * std::f64::consts::LN_10;
    ln.abs().log10() as i32
}

fn check_logarithm(n: &Numeric) -> Result<()> {
    let message = match n.signum() {
        _ if n.is_nan() => return Ok(()),
        0 => "cannot take logarithm of zero",
        -1 => "cannot take logarithm of a negative number",
        _ => return Ok(()),
    };
    Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, message))
}

/// ln of a finite positive value, in fixed point at `scale`.
fn ln_fixed(n: &Numeric, scale: i32) -> BigInt {
    // A small value needs its own digits too, or nothing of it is left in fixed point.
    let extra = (-(n.weight + 1) * DIGIT_WIDTH).max(0) * 2;
    let value = Fixed::new(scale + extra).ln(&signed(n, scale + extra));
    value / BigInt::from(10).pow(extra as u32)
}

impl Numeric {
    pub fn exp(&self) -> Result<Numeric> {
        match self.sign {
            NumericSign::NaN | NumericSign::Infinity => return Ok(self.clone()),
            NumericSign::NegInfinity => return Ok(Numeric::zero(0)),
            _ => {}
        }
        let weight = (approximate(self) * LOG10_E).clamp(-MAX_RESULT, MAX_RESULT);
        let scale = (MIN_SIGNIFICANT - weight as i32).max(i32::from(self.scale)).clamp(0, MAX_DISPLAY_SCALE);
        exp_to(self, scale)
    }

    pub fn ln(&self) -> Result<Numeric> {
        check_logarithm(self)?;
        if !self.is_finite() {
            return Ok(self.clone());
        }
        let scale =
            (MIN_SIGNIFICANT - ln_weight(self)).max(i32::from(self.scale)).clamp(0, MAX_DISPLAY_SCALE);
        to_numeric(&ln_fixed(self, scale + GUARD), scale + GUARD, scale)
    }

    /// The logarithm of `self` to a base.
    pub fn log(&self, base: &Numeric) -> Result<Numeric> {
        if self.is_nan() || base.is_nan() {
            return Ok(Numeric::nan());
        }
        check_logarithm(base)?;
        check_logarithm(self)?;
        match (base.is_infinite(), self.is_infinite()) {
            (true, true) => return Ok(Numeric::nan()),
            (true, false) => return Ok(Numeric::zero(0)),
            (false, true) => return Ok(Numeric::infinity()),
            (false, false) => {}
        }
        let weight = ln_weight(self) - ln_weight(base);
        let scale = (MIN_SIGNIFICANT - weight)
            .max(i32::from(base.scale))
            .max(i32::from(self.scale))
            .clamp(0, MAX_DISPLAY_SCALE);
        let work = scale + GUARD + (-ln_weight(base)).max(0) * 2;
        let divisor = ln_fixed(base, work);
        if divisor.is_zero() {
            return Err(division_by_zero());
        }
        to_numeric(&Fixed::new(work).div(&ln_fixed(self, work), &divisor), work, scale)
    }

    pub fn power(&self, exponent: &Numeric) -> Result<Numeric> {
        if let Some(special) = power_special(self, exponent)? {
            return Ok(special);
        }
        let integral = exponent.compare(&exponent.trunc(0)).is_eq();
        if integral && let Some(power) = exponent.to_i64().and_then(|power| i32::try_from(power).ok()) {
            return power_integer(self, power);
        }
        if self.is_zero() {
            return Ok(Numeric::zero(MIN_SIGNIFICANT as u16));
        }
        let odd = integral && !exponent.rem(&Numeric::from_i64(2))?.is_zero();
        let negative = self.is_negative() && odd;
        let base = self.abs();
        let ln = approximate_ln(&base) * approximate(exponent);
        if ln.abs() > MAX_RESULT * 3.01 {
            return if ln > 0.0 { Err(overflow()) } else { Ok(Numeric::zero(MAX_DISPLAY_SCALE as u16)) };
        }
        let weight = (ln * LOG10_E) as i32;
        let scale = (MIN_SIGNIFICANT - weight)
            .max(i32::from(self.scale))
            .max(i32::from(exponent.scale))
            .clamp(0, MAX_DISPLAY_SCALE);
        // The exponent's size and the result's size both cost digits of ln(base).
        let work = scale + GUARD + weight.max(0) + (exponent.weight + 1).max(0) * DIGIT_WIDTH;
        let fixed = Fixed::new(work);
        let power = fixed.mul(&ln_fixed(&base, work), &signed(exponent, work));
        let value = to_numeric(&fixed.exp(&power), work, scale)?;
        Ok(if negative { value.negate() } else { value })
    }
}

/// ln in double precision, for values beyond a double's range too.
fn approximate_ln(n: &Numeric) -> f64 {
    let scale = 20 + (-(n.weight + 1) * DIGIT_WIDTH).max(0) - ln_weight(n).min(0);
    let ln = ln_fixed(n, scale);
    approximate(&Numeric::from_scaled(ln.is_negative(), ln.magnitude(), scale))
}

/// e^x rounded to a scale; 22003 when it is too large.
fn exp_to(x: &Numeric, scale: i32) -> Result<Numeric> {
    let size = approximate(x) * LOG10_E;
    if size > f64::from((MAX_WEIGHT + 1) * DIGIT_WIDTH) {
        return Err(overflow());
    }
    if size < -f64::from(scale + 10) {
        return Ok(Numeric::zero(scale as u16));
    }
    let work = scale + GUARD + size.max(0.0) as i32 + (-size).max(0.0) as i32;
    to_numeric(&Fixed::new(work).exp(&signed(x, work)), work, scale)
}

/// The answers of POSIX pow() for NaN and infinities, and the errors.
fn power_special(base: &Numeric, exponent: &Numeric) -> Result<Option<Numeric>> {
    let one = Numeric::from_i64(1);
    if base.is_nan() || exponent.is_nan() {
        let is_one = (exponent.is_finite() && exponent.is_zero()) || base.compare(&one).is_eq();
        return Ok(Some(if is_one { one } else { Numeric::nan() }));
    }
    let power_error =
        |message: &str| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message.to_owned()));
    if base.is_zero() && exponent.signum() < 0 {
        return power_error("zero raised to a negative power is undefined");
    }
    let integral = exponent.is_infinite() || exponent.compare(&exponent.trunc(0)).is_eq();
    if base.signum() < 0 && !integral {
        return power_error("a negative number raised to a non-integer power yields a complex result");
    }
    if exponent.is_infinite() {
        let magnitude = base.abs().compare(&one);
        return Ok(Some(if magnitude.is_eq() {
            one
        } else if magnitude.is_gt() == (exponent.signum() > 0) {
            Numeric::infinity()
        } else {
            Numeric::zero(0)
        }));
    }
    if base.is_infinite() {
        if exponent.is_zero() {
            return Ok(Some(one));
        }
        if exponent.signum() < 0 {
            return Ok(Some(Numeric::zero(0)));
        }
        let odd = !exponent.rem(&Numeric::from_i64(2))?.is_zero();
        let negative = base.signum() < 0 && odd;
        return Ok(Some(if negative { Numeric::neg_infinity() } else { Numeric::infinity() }));
    }
    Ok(None)
}

fn power_integer(base: &Numeric, exponent: i32) -> Result<Numeric> {
    if base.is_zero() && exponent > 0 {
        return Ok(Numeric::zero(MIN_SIGNIFICANT.max(i32::from(base.scale)) as u16));
    }
    if exponent == 0 {
        return Ok(Numeric {
            scale: MIN_SIGNIFICANT.max(i32::from(base.scale)) as u16,
            ..Numeric::from_i64(1)
        });
    }
    let mut digits = f64::from(base.digits[0]);
    let mut weight = base.weight * DIGIT_WIDTH;
    for digit in base.digits.iter().skip(1).take(3) {
        digits = digits * f64::from(BASE) + f64::from(*digit);
        weight -= DIGIT_WIDTH;
    }
    let size = (digits.log10() + f64::from(weight)) * f64::from(exponent);
    if size > f64::from((MAX_WEIGHT + 1) * DIGIT_WIDTH) {
        return Err(overflow());
    }
    let scale = MIN_SIGNIFICANT.max(i32::from(base.scale)).min(MAX_DISPLAY_SCALE);
    if size + 1.0 < -f64::from(scale) {
        return Ok(Numeric::zero(scale as u16));
    }
    let negative = base.is_negative() && exponent % 2 != 0;
    let magnitude = power_magnitude(&base.abs(), exponent, scale, size);
    let value = Numeric::from_scaled(negative, &magnitude.0, magnitude.1).round(scale);
    Numeric::build(value.is_negative(), value.weight, scale, value.digits)
}

/// |base|^exponent by repeated squaring, keeping enough significant digits: (value, scale).
fn power_magnitude(base: &Numeric, exponent: i32, scale: i32, size: f64) -> (BigUint, i32) {
    let significant = (f64::from(scale) + size.max(0.0) + size.min(0.0)).max(0.0) as u64 + GUARD as u64 + 12;
    // A value is `digits · 10^-point`; squaring trims it back to the significant digits.
    let trim = |(mut digits, mut point): (BigUint, i64)| {
        let length = (digits.bits() as f64 * std::f64::consts::LOG10_2) as u64;
        if length > significant {
            let drop = length - significant;
            digits /= BigUint::from(10u32).pow(drop as u32);
            point -= drop as i64;
        }
        (digits, point)
    };
    let own = (base.digits.len() as i32 - 1 - base.weight) * DIGIT_WIDTH;
    let mut square = (base.to_scaled(own), i64::from(own));
    let mut result = (BigUint::one(), 0i64);
    let mut bits = exponent.unsigned_abs();
    while bits > 0 {
        if bits & 1 == 1 {
            result = trim((&result.0 * &square.0, result.1 + square.1));
        }
        bits >>= 1;
        if bits > 0 {
            square = trim((&square.0 * &square.0, square.1 * 2));
        }
    }
    if exponent < 0 {
        // 1 / (d · 10^-p) = 10^(k + p - k) / d with k digits of precision.
        let length = (result.0.bits() as f64 * std::f64::consts::LOG10_2) as i64 + 1;
        let k = length + significant as i64;
        result = (BigUint::from(10u32).pow(k.to_u32().unwrap_or(u32::MAX)) / &result.0, k - result.1);
    }
    let (mut digits, mut point) = result;
    // `from_scaled` wants a scale that is not below zero.
    if point < 0 {
        digits *= BigUint::from(10u32).pow((-point) as u32);
        point = 0;
    }
    (digits, point as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(text: &str) -> Numeric {
        Numeric::parse(text).unwrap()
    }

    #[test]
    fn powers_as_postgres() {
        for (base, exponent, shown) in [
            ("2", "3", "8.0000000000000000"),
            ("2.5", "3.5", "24.705294220065464"),
            ("1.00001", "100000", "2.7182682371744897"),
            ("2", "-3", "0.1250000000000000"),
            ("2.0", "0.5", "1.4142135623730950"),
        ] {
            assert_eq!(n(base).power(&n(exponent)).unwrap().to_string(), shown, "{base}^{exponent}");
        }
    }

    #[test]
    fn exponentials_and_logarithms_as_postgres() {
        assert_eq!(n("1.0").exp().unwrap().to_string(), "2.7182818284590452");
        assert_eq!(
            n("-100.0").exp().unwrap().to_string(),
            "0.00000000000000000000000000000000000000000003720075976020836"
        );
        assert_eq!(n("10.0").ln().unwrap().to_string(), "2.3025850929940457");
        assert_eq!(n("1.0000001").ln().unwrap().to_string(), "0.00000009999999500000033");
        assert_eq!(n("100.0").log(&n("10")).unwrap().to_string(), "2.0000000000000000");
        assert_eq!(n("8").log(&n("2.0")).unwrap().to_string(), "3.0000000000000000");
        assert!(n("0").ln().is_err());
    }
}
