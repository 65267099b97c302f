//! Tests of the states of boxes.

use super::*;

#[test]
fn covered_longitudes_that_are_not_possible_are_refused() {
    let state = unfiltered();
    assert_eq!(raw(&mut state.clone()).x[7], Some([-2e7, 0.0]));
    assert_eq!(raw(&mut state.clone()).x[8], Some([0.0, 1e7]));
    let changes: [fn(&mut PlacesState); 16] = [
        |places| places.x = [None; 16],
        // An end of the path is not covered.
        |places| places.x[7] = None,
        |places| places.x[8] = Some([0.0, 0.0]),
        // What reaches a boundary continues in the next sector.
        |places| places.x[8] = Some([1.0, 1e7]),
        |places| places.x[9] = Some([2.25e8, 4.5e8]),
        |places| places.x[15] = Some([1.7e9, 1.8e9]),
        // Outside the sector.
        |places| places.x[7] = Some([-2.3e8, 0.0]),
        |places| places.x[9] = Some([2.24e8, 2.26e8]),
        |places| places.x[9] = Some([2.26e8, 4.6e8]),
        |places| places.x[9] = Some([4.5e8, 4.5e8]),
        |places| places.x[15] = Some([1.7e9, 1.800_000_000_5e9]),
        |places| places.x[0] = Some([-1.800_000_000_5e9, -1.8e9]),
        |places| places.x[3] = Some([-1e9, -1.1e9]),
        |places| places.x[9] = Some([f64::NAN, 2.26e8]),
        |places| places.x[9] = Some([2.26e8, f64::INFINITY]),
        |places| places.x[7] = Some([-2e7, -0.0]),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut state = state.clone();
        change(raw(&mut state));
        assert!(restore(&state).is_err(), "change {index}");
    }
    // What reaches the antimeridian continues in the first sector.
    let mut state = state;
    raw(&mut state).x[15] = Some([1.7e9, 1.8e9]);
    raw(&mut state).x[0] = Some([-1.8e9, -1.8e9]);
    assert!(restore(&state).is_ok());
}

#[test]
fn extremes_that_no_path_can_have_are_refused() {
    let extremes = ExtremesState {
        first: [1e7, 2.0],
        last: [-5e7, 1.0],
        min: [-6e7, 0.0],
        max: [3e7, 3.0],
        x_around_zero: Some([-4e7, 1.0]),
    };
    assert!(extremes.places(Space::Geographic).is_ok());
    let changes: [fn(&mut ExtremesState); 10] = [
        |extremes| extremes.min[0] = -1.800_000_000_5e9,
        |extremes| extremes.max[0] = f64::INFINITY,
        |extremes| extremes.max[1] = f64::NAN,
        |extremes| extremes.first[1] = 9.1e8,
        |extremes| extremes.x_around_zero = None,
        |extremes| extremes.x_around_zero = Some([-7e7, 1.0]),
        |extremes| extremes.x_around_zero = Some([-4e7, 3.1e7]),
        |extremes| extremes.x_around_zero = Some([0.0, 1.0]),
        |extremes| extremes.x_around_zero = Some([-4e7, -1.0]),
        |extremes| extremes.x_around_zero = Some([f64::NAN, f64::NAN]),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut changed = extremes;
        change(&mut changed);
        assert!(changed.places(Space::Geographic).is_err(), "change {index}");
    }
    let one_sided =
        ExtremesState { min: [2.0, 0.0], max: [1.0, 3.0], x_around_zero: None, ..extremes };
    assert!(one_sided.places(Space::Planar).is_err());
}
