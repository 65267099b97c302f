//! The command line of the benchmark.

use std::path::PathBuf;

use super::motion::{MOTIONS, Motion};
use super::recording::{Interval, NOISES};

pub const HELP: &str = "\
Compares methods that measure the length of a path: simulated tracks, whose true lengths are known, and files of
devices that contain the device's own distance.

usage: cargo bench --bench lengths -- [OPTIONS] [FILE...]

With files (FIT, TCX, GPX), prints the relative difference to the distance of the device for each track that has one.
Without files, simulates tracks and prints the relative errors. A cell is a motion, a noise and an interval.

  --seeds N          tracks per cell [default: 20]
  --first-seed N     seed of the first track of a cell [default: 60000]
  --minutes N        duration of a track [default: 20, and 60 for intervals from 15 s]
  --motions LIST     of walk, run, bike, car, hike, swim, still [default: all]
  --intervals LIST   of seconds and smart [default: 1,5,15,30,smart]
  --noises LIST      of 1 to 4, which are kinder, and 5, which is harsh [default: all]
  --csv              print one line per track instead of tables
  --test             simulate few tracks and check the results, as CI does
  -h, --help         print this text

The default seeds differ from those that calibrated the estimate. The same options print the same errors.";

pub struct Arguments {
    pub seeds: u64,
    pub first_seed: u64,
    pub minutes: Option<usize>,
    pub motions: Vec<&'static Motion>,
    pub intervals: Vec<Interval>,
    /// Indices of [`NOISES`].
    pub noises: Vec<usize>,
    pub is_csv: bool,
    pub is_test: bool,
    pub files: Vec<PathBuf>,
}

impl Arguments {
    /// Returns the arguments, or `None` if the help is requested.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut parsed = Self {
            seeds: 20,
            first_seed: 60_000,
            minutes: None,
            motions: MOTIONS.iter().collect(),
            intervals: [1, 5, 15, 30].map(Interval::Every).to_vec(),
            noises: (0..NOISES.len()).collect(),
            is_csv: false,
            is_test: true,
            files: Vec::new(),
        };
        parsed.intervals.push(Interval::Smart);
        let mut arguments = arguments.peekable();
        let mut is_checked = false;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "-h" | "--help" => return Ok(None),
                // `cargo bench` adds this argument, and `cargo test` does not.
                "--bench" => parsed.is_test = false,
                "--test" => is_checked = true,
                "--csv" => parsed.is_csv = true,
                "--seeds" => parsed.seeds = number(&argument, &value()?)?,
                "--first-seed" => parsed.first_seed = number(&argument, &value()?)?,
                "--minutes" => parsed.minutes = Some(number(&argument, &value()?)? as usize),
                "--motions" => parsed.motions = list(&value()?, motion)?,
                "--intervals" => parsed.intervals = list(&value()?, interval)?,
                "--noises" => parsed.noises = list(&value()?, noise)?,
                file if !file.starts_with('-') => parsed.files.push(file.into()),
                _ => return Err(format!("{argument} is not an option; --help lists the options")),
            }
        }
        parsed.is_test |= is_checked;
        Ok(Some(parsed))
    }

    /// Returns the duration of the tracks with this interval.
    pub fn duration_s(&self, interval: Interval) -> usize {
        let is_sparse = matches!(interval, Interval::Every(15..));
        60 * self.minutes.unwrap_or(if is_sparse { 60 } else { 20 })
    }
}

fn list<T>(text: &str, item: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',').map(item).collect()
}

fn number(option: &str, text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (1..1_000_000).contains(number));
    number.ok_or_else(|| format!("{option} is {text:?}, and must be a number from 1 to 999999"))
}

fn motion(name: &str) -> Result<&'static Motion, String> {
    let motion = MOTIONS.iter().find(|motion| motion.name == name);
    motion.ok_or_else(|| format!("there is no motion {name:?}; --help lists the motions"))
}

fn interval(text: &str) -> Result<Interval, String> {
    match text {
        "smart" => Ok(Interval::Smart),
        _ => match text.parse() {
            Ok(seconds @ 1..=300) => Ok(Interval::Every(seconds)),
            _ => {
                Err(format!("the interval is {text:?}, and must be smart or seconds from 1 to 300"))
            }
        },
    }
}

fn noise(text: &str) -> Result<usize, String> {
    let noise = text.parse().ok().filter(|number| (1..=NOISES.len()).contains(number));
    noise
        .map(|number| number - 1)
        .ok_or_else(|| format!("there is no noise {text:?}; --help lists the noises"))
}
