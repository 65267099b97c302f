//! The parameters of the estimator: the models of motion and of noise, and the limits of a piece.
//!
//! A moving model has a velocity with white acceleration. A still model has a place that drifts slowly. The noise of
//! a model is white noise plus first-order Gauss-Markov noise, which is what the positions of receivers contain: an
//! error that changes over a minute.

/// The noise of the positions, per axis.
#[derive(Clone, Copy)]
struct Noise {
    /// The standard deviation of the white part in metres.
    white_m: f64,
    /// The standard deviation of the correlated part in metres.
    correlated_m: f64,
    /// The correlation time of the correlated part in seconds.
    correlation_s: f64,
}

const fn noise(white_m: f64, correlated_m: f64, correlation_s: f64) -> Noise {
    Noise { white_m, correlated_m, correlation_s }
}

const SMALL: Noise = noise(0.5, 0.0, 30.0);
const LARGE: Noise = noise(3.0, 0.0, 30.0);
const SLOW: Noise = noise(0.3, 3.5, 55.0);
const SLOW_AND_LARGE: Noise = noise(1.5, 3.0, 45.0);
/// The noise that reflections from buildings cause.
const HARSH: Noise = noise(0.5, 6.0, 15.0);

/// A motion: the spectral density of the acceleration in m²/s³, and the time in seconds after which the
/// direction is forgotten. With an infinite time, the velocity is constant except for the acceleration.
#[derive(Clone, Copy)]
struct Motion {
    acceleration: f64,
    persistence_s: f64,
}

const fn motion(acceleration: f64, persistence_s: f64) -> Motion {
    Motion { acceleration, persistence_s }
}

const SLOW_TURNS: Motion = motion(0.01, f64::INFINITY);
const MEDIUM_TURNS: Motion = motion(0.2, f64::INFINITY);
const FAST_TURNS: Motion = motion(2.0, f64::INFINITY);
/// An Ornstein-Uhlenbeck process: a walk with turns between the fixes. Noonan et al. (2019), "Scale-insensitive
/// estimation of speed and distance traveled from animal tracking data", Movement Ecology 7, 35.
const WANDERING: Motion = motion(0.1, 20.0);

/// The moving models, and the logarithms of their prior weights.
const MOVING_MODELS: [(Motion, Noise, f64); 16] = [
    (SLOW_TURNS, LARGE, -2.0),
    (SLOW_TURNS, SLOW, 0.0),
    (SLOW_TURNS, SLOW_AND_LARGE, -2.0),
    (MEDIUM_TURNS, SMALL, 0.0),
    (MEDIUM_TURNS, LARGE, 0.0),
    (MEDIUM_TURNS, SLOW, 0.0),
    (MEDIUM_TURNS, SLOW_AND_LARGE, 0.0),
    (MEDIUM_TURNS, HARSH, -4.0),
    (FAST_TURNS, SMALL, 0.0),
    (FAST_TURNS, LARGE, 0.0),
    (FAST_TURNS, SLOW_AND_LARGE, 0.0),
    (WANDERING, SMALL, 0.0),
    (WANDERING, LARGE, 0.0),
    (WANDERING, SLOW, 0.0),
    (WANDERING, SLOW_AND_LARGE, 0.0),
    (WANDERING, HARSH, -4.0),
];

/// The noises of the still models, and the logarithms of their prior weights.
const STILL_MODELS: [(Noise, f64); 4] =
    [(LARGE, 0.0), (SLOW, 0.0), (SLOW_AND_LARGE, 0.0), (HARSH, -2.0)];
/// The drift of the still models in m/√s.
const STILL_DRIFT: f64 = 0.05;

/// The logarithm of the prior weight of an unused lane.
const UNUSED_PRIOR: f64 = -1e9;

/// The number of moving models.
pub(super) const MOVING_COUNT: usize = MOVING_MODELS.len();
/// The number of still models.
pub(super) const STILL_COUNT: usize = STILL_MODELS.len();
/// The number of lanes of the moving models: a multiple of the lanes of a vector register.
pub(super) const MOVING_LANES: usize = MOVING_COUNT.next_multiple_of(8);
/// The number of lanes of the still models.
pub(super) const STILL_LANES: usize = STILL_COUNT.next_multiple_of(4);

/// The parameters of the models in columns, one lane per model. The unused lanes at the end repeat the last
/// model.
pub(super) struct Columns<const LANES: usize> {
    /// The growth of the motion: m²/s³ of a moving model, m²/s of a still model.
    pub(super) motion: [f64; LANES],
    /// The persistence of the velocity in seconds, infinite for a constant velocity.
    pub(super) persistence: [f64; LANES],
    /// The variance of the white noise in m².
    pub(super) white: [f64; LANES],
    /// The variance of the correlated noise in m².
    pub(super) correlated: [f64; LANES],
    /// The decay of the correlated noise in 1/s, negative.
    pub(super) decay: [f64; LANES],
    /// The logarithm of the prior weight of a model.
    pub(super) prior: [f64; LANES],
}

impl<const LANES: usize> Columns<LANES> {
    const EMPTY: Self = Self {
        motion: [0.0; LANES],
        persistence: [f64::INFINITY; LANES],
        white: [0.0; LANES],
        correlated: [0.0; LANES],
        decay: [0.0; LANES],
        prior: [0.0; LANES],
    };

    const fn set(&mut self, lane: usize, noise: Noise, prior: f64) {
        self.white[lane] = noise.white_m * noise.white_m;
        self.correlated[lane] = noise.correlated_m * noise.correlated_m;
        self.decay[lane] = -1.0 / noise.correlation_s;
        self.prior[lane] = prior;
    }
}

/// The moving models.
pub(super) static MOVING: Columns<MOVING_LANES> = {
    let mut columns = Columns::EMPTY;
    let mut lane = 0;
    while lane < MOVING_LANES {
        let is_used = lane < MOVING_COUNT;
        let (motion, noise, prior) = MOVING_MODELS[if is_used { lane } else { MOVING_COUNT - 1 }];
        columns.motion[lane] = motion.acceleration;
        columns.persistence[lane] = motion.persistence_s;
        columns.set(lane, noise, if is_used { prior } else { UNUSED_PRIOR });
        lane += 1;
    }
    columns
};

/// The still models.
pub(super) static STILL: Columns<STILL_LANES> = {
    let mut columns = Columns::EMPTY;
    let mut lane = 0;
    while lane < STILL_LANES {
        let is_used = lane < STILL_COUNT;
        let (noise, prior) = STILL_MODELS[if is_used { lane } else { STILL_COUNT - 1 }];
        columns.motion[lane] = STILL_DRIFT * STILL_DRIFT;
        columns.set(lane, noise, if is_used { prior } else { UNUSED_PRIOR });
        lane += 1;
    }
    columns
};

/// The variance of the velocity at the first fix of a piece, in m²/s².
pub(super) const FIRST_VELOCITY_VARIANCE: f64 = 100.0;
/// The same at a fix after which the models had lost the path: it may be an aeroplane.
pub(super) const LOST_VELOCITY_VARIANCE: f64 = 1e6;
/// The number of consecutive fixes that are outliers for most models, from which the models have lost the path. It
/// jumped, or it is much faster than the models expected. Fewer of them are errors of the receiver.
pub(super) const LOST_COUNT: usize = 12;
/// The same at the end of a piece. Fewer are enough if the piece has no other fixes.
pub(super) const LOST_AT_END_COUNT: usize = 4;

/// The correlation of the position and the noise at the first fix of a piece, negative: their sum is the fix.
pub(super) const FIRST_CORRELATION: f64 = -0.999;

/// The squared innovation, in variances, above which a moving model gives a fix less weight.
pub(super) const OUTLIER: f64 = 16.0;
/// The largest squared innovation that counts against a moving model: one outlier does not decide.
pub(super) const MOVING_SURPRISE_MAX: f64 = 25.0;
/// The largest squared innovation that counts against a still model. It is large, so that moving away decides at
/// once.
pub(super) const STILL_SURPRISE_MAX: f64 = 200.0;
/// The largest difference between the logarithms of the likelihoods of the best moving model and of a still model.
pub(super) const STILL_DEFICIT_MAX: f64 = 8.0;
/// The squared innovation, in variances, from which a still model with this difference starts again at the fix.
pub(super) const STILL_RESTART: f64 = 9.0;

/// The time in seconds over which the likelihoods of the models are forgotten.
pub(super) const MEMORY_S: f64 = 40.0;
/// The largest interval in units of this time that counts: the likelihoods last for some fixes.
pub(super) const FORGOTTEN_MAX: f64 = 0.2;
/// The weights of the models for a fix are taken at the first fix that is at least this many seconds later.
pub(super) const LAG_S: f64 = 15.0;
/// It is also at least this many fixes later.
pub(super) const LAG_FIXES: usize = 2;

/// The squared speed, in variances, from which a motion is significant.
pub(super) const SIGNIFICANT_SPEED: f64 = 9.0;

/// The number of fixes that a block adds to the result.
pub(super) const BLOCK: usize = 64;
/// The number of fixes after a block that improve its result. They are part of the next block.
pub(super) const LOOK_AHEAD: usize = 16;
/// The largest number of fixes that wait for their block.
pub(super) const CAPACITY: usize = BLOCK + LOOK_AHEAD;

/// The shortest interval between fixes that the filters use. Nearer fixes are skipped: their errors are
/// not independent, which all models assume.
pub(super) const INTERVAL_MIN_NS: i64 = 500_000_000;
/// The longest interval within a piece.
pub(super) const INTERVAL_MAX_NS: i64 = 300_000_000_000;
/// The longest regular interval within a piece. The models are calibrated for intervals of up to 30 s; over longer ones,
/// stops and turns are not in the fixes. Irregular fixes are at turns, so that their intervals can be longer.
pub(super) const REGULAR_INTERVAL_MAX_NS: i64 = 40_000_000_000;
/// The shortest interval of a sparse leg, whose ends are the best knowledge about it: the estimate is then at least its
/// straight length, without the noise of both ends.
pub(super) const SPARSE_MIN_NS: i64 = 2_500_000_000;
/// The noise of a sparse leg in metres: its square is subtracted from that of the length.
pub(super) const SPARSE_NOISE_M: f64 = 12.0;
/// The smallest ratio of the distance between the neighbours of a fix to the way over the fix. Below it, the fix can
/// be an outlier, and does not bound the estimate.
pub(super) const OUTLIER_RATIO: f64 = 0.6;
/// The smallest number of legs of a piece. The velocity of a shorter one is not known, so its legs are straight.
pub(super) const PIECE_LEGS_MIN: usize = 5;
/// The longest leg within a piece, in metres.
pub(super) const LEG_MAX_M: f64 = 50_000.0;
/// The largest distance of a fix from the first fix of its block, in metres. It limits the distortion of the
/// plane to 0.3 %.
pub(super) const EXTENT_MAX_M: f64 = 500_000.0;
/// The number of consecutive fixes with times before that of the last fix, in ascending order among
/// themselves, from which the path continues.
pub(super) const BACKWARD_COUNT: u32 = 3;
