//! Tests of pictures: they are well-formed, bounded and deterministic, and show what they should.

use super::*;
use crate::cli::measure::profile::TrackLine;
use crate::measure::{Fix, Metric, Point};

fn line(metric: Metric, fixes: impl IntoIterator<Item = Fix>) -> PlotTrack {
    let mut line = TrackLine::new(metric);
    fixes.into_iter().for_each(|fix| line.add(fix));
    PlotTrack::from_line(&line.finish(0))
}

fn at(latitude: f64, longitude: f64) -> Fix {
    Fix::new(Point::geographic(latitude, longitude).unwrap())
}

fn plot(tracks: Vec<PlotTrack>) -> Plot {
    let (title, totals) = ("Walk".to_owned(), "Length 1 m".to_owned());
    Plot { title, totals, tracks, left_out: 0, is_planar: false, units: Units::M }
}

/// A hike with times and elevations.
fn hike(count: i64) -> Vec<Fix> {
    let fix = |index: i64| {
        let part = index as f64 / 100.0;
        let fix = at(46.0 + part.sin() / 50.0, 13.0 + part / 40.0);
        let fix = fix.with_z(500.0 + 30.0 * part.cos()).unwrap();
        fix.at_unix_ns(index * 5_000_000_000).unwrap()
    };
    (0..count).map(fix).collect()
}

/// Checks that a picture is well-formed and has nothing that runs or loads. Returns the names of its elements.
fn elements(picture: &str) -> Vec<String> {
    let mut reader = quick_xml::Reader::from_str(picture);
    let mut names = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Eof => break,
            quick_xml::events::Event::Start(start) | quick_xml::events::Event::Empty(start) => {
                for attribute in start.attributes() {
                    let attribute = attribute.unwrap();
                    let name = attribute.key.as_ref().to_owned();
                    assert!(!name.starts_with("on") && !name.contains("href"), "{name}");
                    let value = attribute.value.to_string();
                    assert!(!value.contains("NaN") && !value.contains("inf"), "{name}={value}");
                }
                names.push(start.name().as_ref().to_owned());
            }
            _ => {}
        }
    }
    assert!(!names.iter().any(|name| ["script", "image", "use"].contains(&name.as_str())));
    names
}

/// Returns the positions of the lines of tracks on the map, with the start of each line.
fn positions(picture: &str) -> Vec<(char, f64, f64)> {
    let map = picture.split("<g clip-path").nth(1).unwrap().split("</g>").next().unwrap();
    let paths = map.split("<path d=\"").skip(1).filter(|path| path.contains("class=\"track\""));
    let data = paths.map(|path| path.split('"').next().unwrap());
    data.flat_map(|data| {
        let starts = data.match_indices(['M', 'L']).map(|(index, _)| index);
        let ends = starts.clone().skip(1).chain([data.len()]);
        starts.zip(ends).map(|(start, end)| {
            let (x, y) = data[start + 1..end].split_once(' ').unwrap();
            (data[start..].chars().next().unwrap(), x.parse().unwrap(), y.parse().unwrap())
        })
    })
    .collect()
}

#[test]
fn a_picture_has_a_map_and_profiles_and_is_the_same_each_time() {
    let picture = plot(vec![line(Metric::Geodesic, hike(3000))]).to_svg();
    let names = elements(&picture);
    assert_eq!(names[..3], ["svg", "title", "desc"]);
    for text in ["Elevation in m", "Speed in km/h", "Distance in km", "46.0°N", ">N<", " km<"] {
        assert!(picture.contains(text), "{text}\n{picture}");
    }
    assert!(picture.len() < 40_000, "{} bytes", picture.len());
    assert_eq!(plot(vec![line(Metric::Geodesic, hike(3000))]).to_svg(), picture);
    let flat = plot(vec![line(
        Metric::Geodesic,
        hike(3).iter().map(|fix| Fix::new(fix.point().unwrap())),
    )]);
    assert!(!flat.to_svg().contains("Elevation") && !flat.to_svg().contains("Speed"));
}

/// Returns the texts between two others.
fn all_between<'a>(text: &'a str, start: &str, end: char) -> Vec<&'a str> {
    text.split(start).skip(1).map(|rest| rest.split(end).next().unwrap()).collect()
}

#[test]
fn pictures_in_one_document_have_their_own_ids_and_styles() {
    let picture = |title: &str, track: PlotTrack| {
        Plot { title: title.to_owned(), ..plot(vec![track]) }.to_svg()
    };
    let (short, long) = (line(Metric::Geodesic, hike(9)), line(Metric::Geodesic, hike(3000)));
    let pictures = [
        picture("a", short.clone()),
        picture("b", short.clone()),
        picture("a", long),
        picture("\u{1}", short),
    ];
    let mut all = std::collections::BTreeSet::new();
    for picture in &pictures {
        elements(picture);
        assert!(!picture.contains('\u{1}'));
        let ids = all_between(picture, " id=\"", '"');
        assert_eq!(ids.len(), 4, "{ids:?}");
        // The references are to its own IDs.
        let labels = all_between(picture, "aria-labelledby=\"", '"');
        let names = labels.iter().flat_map(|labels| labels.split(' '));
        let clips = all_between(picture, "url(#", ')');
        assert_eq!((labels.len(), clips.len()), (1, 1));
        for name in names.chain(clips) {
            assert!(ids.contains(&name), "{name} {ids:?}");
        }
        // All rules of the style apply to its own elements.
        let style = all_between(picture, "<style>", '<').concat();
        let own = format!("#{} ", ids[0]);
        let rules: Vec<_> = style.split_terminator('}').collect();
        assert!(rules.len() > 9 && rules.iter().all(|rule| rule.starts_with(&own)), "{style}");
        assert!(rules.iter().all(|rule| !rule.contains(',') || rule.contains("font-family")));
        all.extend(ids);
    }
    assert_eq!(all.len(), 4 * pictures.len(), "{all:?}");
}

#[test]
fn texts_are_escaped_and_shortened() {
    let name = "<script>alert(1)</script>&\"'\u{202e}\u{0}\u{ffff}".to_owned();
    let tracks = vec![line(Metric::Geodesic, hike(9)).named(name.clone()); 2];
    let picture = Plot { title: name.repeat(90), ..plot(tracks) }.to_svg();
    elements(&picture);
    assert!(picture.contains("&lt;script&gt;") && picture.len() < 10_000, "{picture}");
    assert!(!picture.contains('\u{202e}') && !picture.contains('\u{0}'));
}

#[test]
fn a_track_across_the_antimeridian_is_in_one_piece() {
    let fixes = (0..=20).map(|index| at(-17.0, 179.0 + f64::from(index) / 10.0));
    let positions = positions(&plot(vec![line(Metric::Geodesic, fixes)]).to_svg());
    assert_eq!(positions.iter().filter(|(command, ..)| *command == 'M').count(), 1);
    assert!(positions.is_sorted_by(|a, b| a.1 < b.1), "{positions:?}");
    let picture =
        plot(vec![line(Metric::Geodesic, [at(-17.0, 179.0), at(-17.0, -179.0)])]).to_svg();
    assert!(picture.contains(">180.0°<"), "{picture}");
    // Around the Earth: the leg over the edge of the map is left out.
    let around = [0.0, 100.0, -160.0, -60.0, -1.0].map(|longitude| at(0.0, longitude));
    let picture = plot(vec![line(Metric::Geodesic, around)]).to_svg();
    elements(&picture);
}

#[test]
fn tracks_without_an_extent_are_drawn() {
    for fixes in [
        vec![at(46.0, 13.0)],
        vec![at(0.0, 0.0); 5],
        vec![at(90.0, 0.0)],
        vec![at(-90.0, 7.0), at(90.0, 7.0)],
    ] {
        let picture = plot(vec![line(Metric::Geodesic, fixes)]).to_svg();
        assert!(elements(&picture).iter().filter(|name| *name == "circle").count() >= 2);
    }
    let empty = plot(vec![line(Metric::Geodesic, [])]).to_svg();
    assert!(!elements(&empty).contains(&"clipPath".to_owned()));
}

#[test]
fn planar_tracks_have_no_degrees_and_no_metres() {
    for scale in [1e-6, 1.0, 1e9] {
        let fixes = [(0.0, 0.0), (3.0, 4.0), (9.0, -4.0)];
        let fixes = fixes.map(|(x, y)| Fix::new(Point::planar(x * scale, y * scale).unwrap()));
        let picture = Plot { is_planar: true, ..plot(vec![line(Metric::Planar, fixes)]) }.to_svg();
        elements(&picture);
        assert!(!picture.contains('°') && !picture.contains(" km") && !picture.contains("0 m<"));
    }
}

#[test]
fn segments_are_separate_and_rejected_points_are_red() {
    let fixes = [at(46.0, 13.0), at(46.1, 13.0), at(46.2, 13.1).starting_segment(), at(46.3, 13.1)];
    let mut track = line(Metric::Geodesic, fixes);
    let lines = |track: &PlotTrack| {
        let positions = positions(&plot(vec![track.clone()]).to_svg());
        positions.iter().filter(|(command, ..)| *command == 'M').count()
    };
    assert_eq!(lines(&track), 2);
    let picture = plot(vec![track.clone()]).to_svg();
    assert!(!picture.contains("class=\"rejected\""));
    // One is far away and does not shrink the others.
    for (at, index) in [([13.05, 46.05], 1), ([80.0, 0.0], 1)] {
        track.points.insert(index, PlotPoint { at, is_rejected: true, ..PlotPoint::default() });
    }
    let marked = plot(vec![track]).to_svg();
    elements(&marked);
    assert_eq!(positions(&marked), positions(&picture));
    assert!(marked.contains("2 rejected points, 1 of them outside of the map"), "{marked}");
}

#[test]
fn a_line_of_the_profile_is_read_with_its_rejected_points() {
    let json = serde_json::json!({
        "coordinates": [[13.0, 46.0], [13.1, 46.1], [13.2, 46.2]],
        "segment_starts": [0, 2],
        "distance_m": [0.0, 5.0, 5.0],
        "elevation_m": [null, 7.5, null],
        "time_ms": [null, 2500, null],
        "rejected": [null, "speed", null],
    });
    let track = PlotTrack::from_line(&json);
    let middle = PlotPoint {
        at: [13.1, 46.1],
        distance: 5.0,
        z: Some(7.5),
        time_ms: Some(2500),
        starts_segment: false,
        is_rejected: true,
    };
    assert_eq!(track.points[1], middle);
    assert!(track.points[2].starts_segment && !track.points[2].is_rejected);
}

#[test]
fn many_long_tracks_make_a_picture_of_limited_size() {
    let track = |shift: i64| {
        let noisy = |index: i64| {
            let noise = (index * 7919 + shift * 104_729) % 1000;
            at(46.0 + noise as f64 / 1e3, 13.0 + index as f64 / 1e3)
        };
        line(Metric::Geodesic, (0..2000).map(noisy)).named(format!("track {shift}"))
    };
    let picture = plot((0..TRACKS_MAX as i64).map(track).collect()).to_svg();
    elements(&picture);
    assert!(picture.len() < 4 << 20, "{} bytes", picture.len());
}

#[test]
fn ticks_are_round_numbers() {
    use super::ticks::{Ticks, round_down, round_up};
    for (value, up, down) in [
        (1.0, 1.0, 1.0),
        (1.1, 2.0, 1.0),
        (3.0, 5.0, 2.0),
        (70.0, 100.0, 50.0),
        (0.03, 0.05, 0.02),
        (0.7, 1.0, 0.5),
    ] {
        assert!((round_up(value) / up - 1.0).abs() < 1e-9, "{value} {}", round_up(value));
        assert!((round_down(value) / down - 1.0).abs() < 1e-9, "{value} {}", round_down(value));
    }
    let ticks = Ticks::about(-0.3, 0.31, 4.0);
    let labels: Vec<_> = ticks.values.iter().map(|&value| ticks.label(value)).collect();
    assert_eq!(labels, ["-0.2", "0.0", "0.2"]);
    for (low, high) in [(f64::NAN, 1.0), (0.0, 0.0), (0.0, f64::INFINITY), (-1e300, 1e300)] {
        assert!(Ticks::about(low, high, 4.0).values.len() <= 60);
    }
}
