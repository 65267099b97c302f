//! Simulated motions, whose true lengths are known.

use std::f64::consts::{FRAC_PI_2, TAU};

use super::random::Random;

/// A kind of motion: the speed and the turn rate vary around their means, with right-angle turns and rests in between.
pub struct Motion {
    pub name: &'static str,
    speed_mps: f64,
    speed_deviation_mps: f64,
    turn_deviation_rad_per_s: f64,
}

const fn motion(
    name: &'static str,
    speed: f64,
    speed_deviation: f64,
    turn_deviation: f64,
) -> Motion {
    Motion {
        name,
        speed_mps: speed,
        speed_deviation_mps: speed_deviation,
        turn_deviation_rad_per_s: turn_deviation,
    }
}

pub const MOTIONS: [Motion; 7] = [
    motion("walk", 1.35, 0.15, 0.125),
    motion("run", 3.0, 0.25, 0.075),
    motion("bike", 6.5, 1.2, 0.05),
    motion("car", 14.0, 4.0, 0.025),
    motion("hike", 1.0, 0.25, 0.25),
    motion("swim", 0.7, 0.1, 0.05),
    motion("still", 0.0, 0.0, 0.0),
];

/// The number of simulated moments per second.
pub const RATE: usize = 10;
/// The time over which the speed returns to its mean.
const SPEED_TIME_S: f64 = 5.0;
/// The time over which the turn rate returns to 0.
const TURN_TIME_S: f64 = 3.0;
/// The mean time between right-angle turns.
const CORNER_TIME_S: f64 = 90.0;
/// The mean time between the rests, and the mean duration of a rest.
const REST_TIME_S: f64 = 180.0;
const REST_DURATION_S: f64 = 30.0;

/// The truth at one moment.
#[derive(Clone, Copy)]
pub struct Moment {
    pub east_m: f64,
    pub north_m: f64,
    pub speed_mps: f64,
    pub heading_rad: f64,
    /// The true length of the path up to this moment.
    pub length_m: f64,
}

impl Motion {
    pub fn is_still(&self) -> bool {
        self.speed_mps == 0.0
    }

    /// Returns the moments of a path of this duration, including both ends.
    pub fn simulate(&self, duration_s: usize, random: &mut Random) -> Vec<Moment> {
        let step_s = 1.0 / RATE as f64;
        // Steps of Ornstein-Uhlenbeck processes.
        let speed_noise = self.speed_deviation_mps * (2.0 * step_s / SPEED_TIME_S).sqrt();
        let turn_noise = self.turn_deviation_rad_per_s * (2.0 * step_s / TURN_TIME_S).sqrt();
        let (mut drive_mps, mut turn_rad_per_s, mut rest_s) = (self.speed_mps, 0.0, 0.0);
        let mut now = Moment {
            east_m: 0.0,
            north_m: 0.0,
            speed_mps: self.speed_mps,
            heading_rad: TAU * random.uniform(),
            length_m: 0.0,
        };
        let mut moments = vec![now];
        for _ in 0..duration_s * RATE {
            drive_mps += (self.speed_mps - drive_mps) * step_s / SPEED_TIME_S
                + speed_noise * random.normal();
            turn_rad_per_s += turn_noise * random.normal() - turn_rad_per_s * step_s / TURN_TIME_S;
            now.heading_rad += turn_rad_per_s * step_s;
            if !self.is_still() {
                if random.chance(step_s / CORNER_TIME_S) {
                    now.heading_rad += if random.chance(0.5) { FRAC_PI_2 } else { -FRAC_PI_2 };
                }
                if rest_s <= 0.0 && random.chance(step_s / REST_TIME_S) {
                    rest_s = random.exponential(REST_DURATION_S);
                }
            }
            if rest_s > 0.0 {
                rest_s -= step_s;
                drive_mps = 0.0;
            }
            now.speed_mps = drive_mps.max(0.0);
            now.east_m += now.speed_mps * step_s * now.heading_rad.sin();
            now.north_m += now.speed_mps * step_s * now.heading_rad.cos();
            now.length_m += now.speed_mps * step_s;
            moments.push(now);
        }
        moments
    }
}
