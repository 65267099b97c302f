//! A short run with checks, for CI.

use waywiser::measure::Metric;

use super::arguments::Arguments;
use super::methods::ESTIMATE;
use super::motion::MOTIONS;
use super::recording::{HARSH, Interval, NOISES, record};
use super::report::median;
use super::simulation::{self, Track};

/// Checks the simulation, and the estimate on some tracks of each motion.
///
/// # Errors
/// Returns an error that describes the first check that fails.
pub fn run() -> Result<(), String> {
    simulation_is_exact()?;
    for interval in ["1", "5", "30", "smart"] {
        let options =
            ["--seeds", "2", "--minutes", "10", "--noises", "2,4,5", "--intervals", interval];
        let Some(arguments) = Arguments::parse(options.into_iter().map(str::to_owned))? else {
            return Err("the options of the check are the help".to_owned());
        };
        let cells = simulation::run(&arguments)?;
        for motion in MOTIONS.iter().filter(|motion| !motion.is_still()) {
            let tracks = || {
                cells.iter().filter(|cell| cell.motion.name == motion.name && cell.noise != HARSH)
            };
            let error = |method: usize| {
                let errors = tracks()
                    .flat_map(|cell| &cell.tracks)
                    .map(|track: &Track| track.errors()[method].abs());
                median(&mut errors.collect::<Vec<_>>())
            };
            let (raw, estimate) = (error(0), error(ESTIMATE));
            // Sharp turns between the fixes and slow motion are the hardest cases.
            let limit = match motion.name {
                "swim" => 0.35,
                "hike" => 0.25,
                _ => 0.12,
            };
            if estimate > limit {
                return Err(format!(
                    "{} at {interval}: the error of the estimate is {estimate:.3}",
                    motion.name
                ));
            }
            if interval == "1" && estimate > raw {
                return Err(format!(
                    "{} at {interval}: the raw length is better: {raw:.3}, {estimate:.3}",
                    motion.name
                ));
            }
        }
        let still = cells.iter().filter(|cell| cell.motion.is_still() && cell.noise != HARSH);
        for track in still.flat_map(|cell| &cell.tracks) {
            let metres_per_minute = track.errors()[ESTIMATE];
            if metres_per_minute > 5.0 || !track.is_covered() {
                return Err(format!(
                    "standing still at {interval} is {metres_per_minute:.1} m/min"
                ));
            }
        }
    }
    println!("ok: the estimates of simulated tracks are within their limits");
    Ok(())
}

/// Checks that the raw length of a recording without noise is the true length.
fn simulation_is_exact() -> Result<(), String> {
    for motion in &MOTIONS {
        let recording = record(motion, None, Interval::Every(1), 600, 1);
        let legs = recording.fixes.windows(2).map(|leg| (leg[0].point(), leg[1].point()));
        let length_m: f64 = legs
            .map(|(from, to)| Metric::Geodesic.distance(from.unwrap(), to.unwrap()).unwrap())
            .sum();
        // The chords of a hike are shorter than its turns, and positions are rounded to 1 cm.
        if length_m > 1.002 * recording.true_m || length_m < 0.97 * recording.true_m {
            return Err(format!(
                "{}: {length_m} m without noise, {} m in truth",
                motion.name, recording.true_m
            ));
        }
    }
    let same = |seed| record(&MOTIONS[0], Some(&NOISES[1]), Interval::Every(1), 60, seed).fixes;
    if same(7) != same(7) || same(7) == same(8) {
        return Err("a seed does not decide the track".to_owned());
    }
    Ok(())
}
