//! Removes points of a line that cannot be seen (Douglas and Peucker 1973).

/// Maximum distance of a removed point from the line, in pixels.
const TOLERANCE: f64 = 0.35;

/// Returns the points of a line that can be seen. The ends stay.
pub(super) fn simplify(line: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let count = line.len();
    if count < 3 {
        return line.to_vec();
    }
    let mut kept = vec![false; count];
    (kept[0], kept[count - 1]) = (true, true);
    let mut ranges = vec![(0, count - 1)];
    while let Some((from, to)) = ranges.pop() {
        let inner =
            (from + 1..to).map(|index| (index, distance(line[index], line[from], line[to])));
        let farthest = inner.max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((index, away)) = farthest
            && away > TOLERANCE
        {
            kept[index] = true;
            ranges.extend([(from, index), (index, to)]);
        }
    }
    line.iter().zip(kept).filter(|(_, kept)| *kept).map(|(point, _)| *point).collect()
}

/// Returns the distance of a point from the line between two others.
fn distance([x, y]: [f64; 2], [ax, ay]: [f64; 2], [bx, by]: [f64; 2]) -> f64 {
    let (dx, dy) = (bx - ax, by - ay);
    let square = dx * dx + dy * dy;
    let along = match square > 0.0 {
        true => (((x - ax) * dx + (y - ay) * dy) / square).clamp(0.0, 1.0),
        false => 0.0,
    };
    let (rest_x, rest_y) = (x - ax - along * dx, y - ay - along * dy);
    libm::sqrt(rest_x * rest_x + rest_y * rest_y)
}
