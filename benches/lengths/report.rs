//! The tables of the benchmark, in Markdown.

use super::methods::{ESTIMATE, METHODS};
use super::recording::{HARSH, Interval, NOISES};
use super::simulation::{Cell, Track};

/// Returns the median. The numbers are sorted afterwards.
pub fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => numbers[count / 2],
        count => (numbers[count / 2 - 1] + numbers[count / 2]) / 2.0,
    }
}

fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for number in numbers {
        sum += number;
        count += 1.0;
    }
    sum / count
}

/// The errors of a method in some tracks.
struct Errors {
    /// The median of the absolute errors.
    median: f64,
    /// The largest absolute error.
    worst: f64,
}

impl Errors {
    fn of<'a>(tracks: impl Iterator<Item = &'a Track>, method: usize) -> Self {
        let mut errors: Vec<_> = tracks.map(|track| track.errors()[method].abs()).collect();
        let median = median(&mut errors);
        Self { median, worst: errors.last().copied().unwrap_or(f64::NAN) }
    }
}

/// Cells with one motion and one interval.
struct Row<'a> {
    cells: Vec<&'a Cell>,
}

impl<'a> Row<'a> {
    fn tracks(&self) -> impl Iterator<Item = &'a Track> {
        self.cells.iter().flat_map(|cell| &cell.tracks)
    }

    fn errors(&self) -> [Errors; METHODS.len()] {
        std::array::from_fn(|method| Errors::of(self.tracks(), method))
    }

    /// Returns the largest median error of the estimate in a cell.
    fn worst_cell(&self) -> f64 {
        self.cells
            .iter()
            .map(|cell| Errors::of(cell.tracks.iter(), ESTIMATE).median)
            .fold(0.0, f64::max)
    }

    fn coverage(&self) -> f64 {
        coverage(self.tracks())
    }

    fn lowest_coverage(&self) -> f64 {
        self.cells.iter().map(|cell| coverage(cell.tracks.iter())).fold(1.0, f64::min)
    }

    fn width(&self) -> f64 {
        mean(self.tracks().map(Track::width))
    }
}

fn coverage<'a>(tracks: impl Iterator<Item = &'a Track>) -> f64 {
    mean(tracks.map(|track| f64::from(u8::from(track.is_covered()))))
}

/// Returns the cells in groups of one motion and one interval, in their order.
fn rows<'a>(cells: impl Iterator<Item = &'a Cell>) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = Vec::new();
    for cell in cells {
        let same = |row: &&mut Row<'_>| {
            row.cells[0].motion.name == cell.motion.name && row.cells[0].interval == cell.interval
        };
        match rows.iter_mut().find(same) {
            Some(row) => row.cells.push(cell),
            None => rows.push(Row { cells: vec![cell] }),
        }
    }
    rows
}

fn print_row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

fn print_heading(first: &[&str], last: &[&str]) {
    let names: Vec<String> =
        first.iter().chain(&METHODS).chain(last).map(ToString::to_string).collect();
    print_row(&names);
    println!("|---|---|{}", "--:|".repeat(names.len() - 2));
}

fn print_moving<'a>(cells: impl Iterator<Item = &'a Cell>) {
    print_heading(&["motion", "interval"], &["worst cell", "coverage", "lowest cell", "width"]);
    for row in rows(cells.filter(|cell| !cell.motion.is_still())) {
        let mut line = vec![row.cells[0].motion.name.to_owned(), row.cells[0].interval.to_string()];
        line.extend(
            row.errors().map(|errors| {
                format!("{:.1} / {:.1}", 100.0 * errors.median, 100.0 * errors.worst)
            }),
        );
        line.push(format!("{:.1}", 100.0 * row.worst_cell()));
        line.extend(
            [row.coverage(), row.lowest_coverage(), row.width()]
                .map(|share| format!("{:.0}", 100.0 * share)),
        );
        print_row(&line);
    }
}

fn print_still<'a>(cells: impl Iterator<Item = &'a Cell>) {
    print_heading(&["noises", "interval"], &["worst cell", "coverage"]);
    let (harsh, kinder): (Vec<_>, Vec<_>) =
        cells.filter(|cell| cell.motion.is_still()).partition(|cell| cell.noise == HARSH);
    for (noises, cells) in [("1-4", kinder), ("5", harsh)] {
        for row in rows(cells.into_iter()) {
            let mut line = vec![noises.to_owned(), row.cells[0].interval.to_string()];
            line.extend(
                row.errors().map(|errors| format!("{:.1} / {:.1}", errors.median, errors.worst)),
            );
            line.push(format!("{:.1}", row.worst_cell()));
            line.push(format!("{:.0}", 100.0 * row.coverage()));
            print_row(&line);
        }
    }
}

/// Prints the tables of simulated tracks.
pub fn print(cells: &[Cell]) {
    println!("Noises (standard deviation per axis):");
    for (number, noise) in (1..).zip(&NOISES) {
        println!("{number}. {}", noise.name);
    }
    let is_harsh = |cell: &&Cell| cell.noise == HARSH;
    println!(
        "\nMoving, noises 1-4: median / worst absolute error in %; worst cell: the median of the estimate in it."
    );
    println!("Coverage of the interval, its lowest in a cell, and the mean width, in %.\n");
    print_moving(cells.iter().filter(|cell| !is_harsh(cell)));
    println!("\nMoving, noise 5.\n");
    print_moving(cells.iter().filter(is_harsh));
    println!(
        "\nStanding still: median / worst length in metres per minute. Coverage: the interval contains 0.\n"
    );
    print_still(cells.iter());
    println!();
    print_targets(cells);
}

/// Prints the figures that the targets of the project limit.
fn print_targets(cells: &[Cell]) {
    let is_dense = |cell: &&Cell| matches!(cell.interval, Interval::Every(..=5));
    let is_kinder = |cell: &&Cell| cell.noise != HARSH;
    let is_hike = |cell: &&Cell| cell.motion.name == "hike";
    let is_target = |cell: &&Cell| ["walk", "run", "bike", "car"].contains(&cell.motion.name);
    let kinder = || cells.iter().filter(is_kinder);
    let row = |cells: Vec<_>| Row { cells };
    let dense = row(kinder().filter(is_dense).filter(is_target).collect());
    let hike = row(kinder().filter(is_dense).filter(is_hike).collect());
    let still = row(kinder().filter(is_dense).filter(|cell| cell.motion.is_still()).collect());
    if !dense.cells.is_empty() {
        println!("walk, run, bike, car, every 1-5 s, noises 1-4:");
        println!("  median error {:.1} % (target 3)", 100.0 * dense.errors()[ESTIMATE].median);
        println!("  worst cell {:.1} % (target 8)", 100.0 * dense.worst_cell());
        println!("  coverage {:.0} % (target 90)", 100.0 * dense.coverage());
        println!(
            "  lowest coverage of a cell {:.0} % (target 85)",
            100.0 * dense.lowest_coverage()
        );
        println!("  mean width of the interval {:.1} % (target 15)", 100.0 * dense.width());
    }
    if !hike.cells.is_empty() {
        println!(
            "hike, every 1-5 s, noises 1-4: worst cell {:.1} % (target 15)",
            100.0 * hike.worst_cell()
        );
    }
    if !still.cells.is_empty() {
        println!(
            "standing still, every 1-5 s, noises 1-4: worst cell {:.1} m/min (target 3)",
            still.worst_cell()
        );
    }
    let sparse = |cell: &&Cell| matches!(cell.interval, Interval::Every(15..));
    let mut worse = 0;
    let mut count = 0;
    for cell in kinder().filter(sparse).filter(|cell| is_target(cell) || is_hike(cell)) {
        let errors = |method| Errors::of(cell.tracks.iter(), method).median;
        count += 1;
        worse += usize::from(errors(ESTIMATE) > errors(0));
    }
    if count > 0 {
        println!(
            "walk, run, bike, car, hike, every 15 s and more, noises 1-4: worse than raw in {worse} of {count} cells (target 0)"
        );
    }
}

/// Prints a line per track.
pub fn print_csv(cells: &[Cell]) {
    println!(
        "motion,interval,noise,seed,fixes,true_m,raw_m,min_step_5_m,min_step_10_m,traccar_m,estimate_m,low_m,high_m"
    );
    for cell in cells {
        for track in &cell.tracks {
            let lengths = track.lengths.all().map(|length_m| format!("{length_m:.2}")).join(",");
            println!(
                "{},{},{},{},{},{:.2},{lengths},{:.2},{:.2}",
                cell.motion.name,
                cell.interval.to_string().trim_end_matches(" s"),
                cell.noise + 1,
                track.seed,
                track.fix_count,
                track.true_m,
                track.lengths.estimate.low_m,
                track.lengths.estimate.high_m,
            );
        }
    }
}
