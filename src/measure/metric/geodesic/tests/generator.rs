//! Generates the legs whose true lengths are in tests/geodesic/legs.bin. The generators repeat make_legs.py
//! step by step in whole numbers. The script describes the purpose of each kind of leg.

const COARSE_LEGS: usize = 112_000;
const FINE_LEGS: usize = 24_000;
pub(super) const LEGS: usize = COARSE_LEGS + FINE_LEGS;

/// Coordinates of the first generator are whole numbers of 2^-10 E7.
const UNIT: i64 = 1 << 10;
const POLE: i64 = 900_000_000 * UNIT;
const HALF_TURN: i64 = 2 * POLE;

struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: i64) -> i64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as i64 % n
    }

    fn wide(&mut self, n: i64) -> i64 {
        let high = self.below(1 << 31);
        ((high << 31) | self.below(1 << 31)) % n
    }

    fn sign(&mut self) -> i64 {
        1 - 2 * self.below(2)
    }

    fn around(&mut self, n: i64) -> i64 {
        self.wide(2 * n + 1) - n
    }

    fn log_uniform(&mut self, low: i64, high: i64) -> i64 {
        let size = 1 << (low + self.below(high - low));
        size + self.wide(size)
    }

    fn middle_latitude(&mut self) -> i64 {
        let kind = self.below(8);
        if kind <= 2 {
            return self.around(POLE);
        }
        if kind == 3 {
            return self.around(POLE / 900);
        }
        let sign = self.sign();
        sign * match kind {
            4 => 790_000_000 * UNIT + self.wide(20_000_000 * UNIT),
            5 => 850_000_000 * UNIT + self.wide(50_000_000 * UNIT),
            6 => {
                let border = self.below(13_600) * (1 << 16) * UNIT;
                let offset = self.around(3);
                border + offset * (1 << (3 * self.below(4)))
            }
            _ => {
                let limit = if self.below(2) != 0 { 880_000_000 } else { 854_000_000 };
                limit * UNIT + self.around(2_000_000 * UNIT)
            }
        }
    }

    /// Returns latitude, longitude, latitude, longitude.
    fn leg(&mut self) -> [i64; 4] {
        let middle = self.middle_latitude();
        let longitude = if self.below(4) == 0 {
            self.sign() * (HALF_TURN - self.wide(1 << 24))
        } else {
            self.around(HALF_TURN)
        };
        let kind = self.below(8);
        let length = match kind {
            0 => self.log_uniform(6, 16),
            1 | 2 => self.log_uniform(16, 26),
            3 => self.log_uniform(26, 30),
            4 => {
                let size = 46_000_000 + self.below(46_000_000);
                size * if self.below(2) != 0 { 1 } else { 10 }
            }
            _ => self.log_uniform(30, 40),
        };
        let mut ends = if kind <= 5 {
            let others = [self.around(length), 0, self.around(length), self.around(length)];
            let other = others[self.below(4) as usize];
            let (dx, dy) = if self.below(2) != 0 {
                (self.sign() * length, other)
            } else {
                (other, self.sign() * length)
            };
            let square = |e7: i64| i128::from(e7) * i128::from(e7);
            let shrink = square(900_000_000) - square(middle.abs() / UNIT);
            let wide = if shrink == 0 {
                HALF_TURN
            } else {
                let wide = i128::from(dx.abs()) * square(900_000_000) / shrink;
                wide.min(i128::from(HALF_TURN)) as i64
            };
            // Integer division rounds towards zero.
            let first = middle - dy / 2;
            [first, longitude, first + dy, longitude + if dx >= 0 { wide } else { -wide }]
        } else if kind == 6 {
            [middle, longitude, self.around(POLE), self.around(HALF_TURN)]
        } else {
            let miss = self.log_uniform(10, 36);
            let latitude = -middle + self.around(miss);
            [middle, longitude, latitude, longitude + HALF_TURN + self.around(miss)]
        };
        let whole = self.below(2) == 0;
        for (at, end) in ends.iter_mut().enumerate() {
            if whole {
                *end = end.div_euclid(UNIT) * UNIT;
            }
            *end = if at % 2 == 0 {
                (*end).clamp(-POLE, POLE)
            } else {
                (*end + HALF_TURN).rem_euclid(2 * HALF_TURN) - HALF_TURN
            };
        }
        ends
    }
}

/// Coordinates of the second generator are whole numbers of 2^-30 E7, rounded to `f64`.
const FINE: i64 = 1 << 30;
const FINE_POLE: i64 = 900_000_000 * FINE;
const FINE_HALF_TURN: i64 = 2 * FINE_POLE;

/// Returns the cosine of a latitude in fine units, in units of 2^-30.
fn cosine(latitude: i64) -> i64 {
    let x = latitude / 900_000_000;
    let x2 = x * x / FINE;
    let ratio = FINE - 250_935_051 * x2 / FINE + 20_508_674 * x2 / FINE * x2 / FINE;
    (FINE - x2) * ratio / FINE
}

impl Lcg {
    fn fine_middle_latitude(&mut self) -> i64 {
        match self.below(6) {
            0 => self.wide(FINE_POLE),
            1 => 780_000_000 * FINE + self.wide(21_000_000 * FINE),
            2 => 850_000_000 * FINE + self.wide(31_000_000 * FINE),
            3 => 799_000_000 * FINE + self.wide(1_000_000 * FINE),
            4 => 879_500_000 * FINE + self.wide(500_000 * FINE),
            _ => 853_500_000 * FINE + self.wide(3_000_000 * FINE),
        }
    }

    /// Returns latitude, longitude, latitude, longitude, in E7.
    fn fine_leg(&mut self) -> [f64; 4] {
        let aimed = self.below(2) == 0;
        let mut middle = self.fine_middle_latitude();
        if aimed && self.below(2) == 0 {
            let border = 1 << 48;
            middle = middle / (2 * border) * (2 * border) + border + self.around(1 << 20);
        }
        let middle = middle.min(FINE_POLE);
        let length = if aimed {
            let longest = [900_000, 90_000, 23_000, (FINE_POLE - middle) / (50 * FINE)];
            let longest = longest[self.below(4) as usize];
            longest * (FINE / 1024) * (900 + self.below(128))
        } else {
            self.log_uniform(24, 50)
        };
        let mut t = self.below(1025);
        if self.below(4) == 0 {
            t = 1024 - t / 64;
        }
        let (length, square) = (i128::from(length), i128::from(t * t));
        let whole = i128::from(1024 * 1024);
        let north = (length * (whole - square) / (whole + square)) as i64;
        let east = length * i128::from(2048 * t) / (whole + square);
        let wide = east * i128::from(FINE) / i128::from(cosine(middle).max(1));
        let east = wide.min(i128::from(FINE_HALF_TURN)) as i64;
        let mut longitude = self.around(FINE_HALF_TURN);
        if !aimed {
            let part = i128::from(east) * i128::from(self.below(1024)) / 1024;
            longitude = FINE_HALF_TURN - part as i64;
        }
        let (sign, first) = (self.sign(), middle - north / 2);
        let mut ends = [sign * first, longitude, sign * (first + north), longitude + east];
        if self.below(2) == 0 {
            ends[1] = -ends[1];
            ends[3] = -ends[3];
        }
        for (at, end) in ends.iter_mut().enumerate() {
            if at % 2 == 0 {
                *end = (*end).clamp(-FINE_POLE, FINE_POLE);
            } else if end.abs() > FINE_HALF_TURN {
                *end -= 2 * FINE_HALF_TURN * end.signum();
            }
        }
        ends.map(|end| end as f64 / FINE as f64)
    }
}

/// Returns latitude, longitude, latitude, longitude of each leg, in E7.
pub(super) fn legs() -> impl Iterator<Item = [f64; 4]> {
    let (mut coarse, mut fine) = (Lcg(20_130_143), Lcg(18_461_938));
    let coarse = (0..COARSE_LEGS).map(move |_| coarse.leg().map(|end| end as f64 / UNIT as f64));
    coarse.chain((0..FINE_LEGS).map(move |_| fine.fine_leg()))
}
